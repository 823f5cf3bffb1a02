import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";

/** What one SCAN goes over. */
export interface ScanWork {
  /** A glob, in base64: it may hold any bytes. */
  readonly match: string;
  /** SCAN's TYPE, where only keys of one type are wanted. */
  readonly type: string | null;
}

/** What a split reads: a SCAN, and from where each series or stream of it is read. */
export interface Work extends ScanWork {
  /** Milliseconds since 1970; `null`: from its start. */
  readonly from: number | null;
}

export function workJson(work: Work): Json {
  return { ...work };
}

export function workOf(split: Split): Work {
  return split.work as unknown as Work;
}

/** SCAN's cursor behind the keys that were read. */
export function cursorJson(cursor: string): Json {
  return { cursor };
}

/** Where a split goes on. */
export function cursorOf(state: Json): string {
  return (state as { readonly cursor: string } | null)?.cursor ?? "0";
}
