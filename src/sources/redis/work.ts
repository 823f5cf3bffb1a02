import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";

/** The keys that one SCAN covers. */
export interface ScanWork {
  /** A glob in base64, because it may hold any bytes. */
  readonly match: string;
  /** SCAN's TYPE, if only keys of one type are wanted. */
  readonly type: string | null;
}

/** What a split reads: a SCAN, and where reading starts in each series or stream. */
export interface Work extends ScanWork {
  /** Milliseconds since 1970; `null`: from the start. */
  readonly from: number | null;
}

export function workJson(work: Work): Json {
  return { ...work };
}

export function workOf(split: Split): Work {
  return split.work as unknown as Work;
}

/** SCAN's cursor after the keys that were read. */
export function cursorJson(cursor: string): Json {
  return { cursor };
}

/** Where a split resumes. */
export function cursorOf(state: Json): string {
  return (state as { readonly cursor: string } | null)?.cursor ?? "0";
}
