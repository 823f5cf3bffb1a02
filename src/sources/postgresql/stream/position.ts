import type { Json } from "../../../protocol/json.ts";
import { lsnOf } from "./lsn.ts";
import type { StreamNames } from "./names.ts";

/** Where the stream of one table goes on, as it is stored. */
export interface StreamPosition {
  readonly slot: string;
  /**
   * Identifies the log. PostgreSQL: the server and its timeline, since after a failover or on another server the log is
   * another. YugabyteDB: the slot's stream, since positions can be compared only within one.
   */
  readonly system: string;
  /** The table's place in the publication, its identity and the types of its key. */
  readonly published: string;
  /** All commits that begin before it are in the copy. */
  readonly lsn: string;
  /**
   * From this moment on the log has all of the table's changes; at that moment the table is read whole again.
   * Milliseconds since 1970. Absent: the log has them already.
   */
  readonly settles?: number;
}

export function positionIn(next: Json): StreamPosition | null {
  return (next as { readonly stream?: StreamPosition } | null)?.stream ?? null;
}

/** What a position is compared with. */
interface Now extends Pick<StreamPosition, "system" | "published"> {
  readonly names: StreamNames;
  /** Commits that begin before it are not sent any more. */
  readonly confirmed: bigint;
}

/** Why the changes since a position can't be known, as the end of a sentence; `null`: the slot still has all of them. */
export function lostBecause(
  { slot, system, published, lsn }: StreamPosition,
  { names, system: current, published: place, confirmed }: Now,
): string | null {
  if (slot !== names.slot) return `it was read by the slot "${slot}"`;
  if (system !== current)
    return system.startsWith(yugabyteStream) && current.startsWith(yugabyteStream)
      ? `the slot "${slot}" was made again`
      : "the server was replaced, or another one took over";
  if (published !== place)
    return `its key was altered, or it was not in the publication "${names.publication}" all the time`;
  if (lsnOf(lsn) >= confirmed) return null;
  return `the slot "${slot}" was made again or read by something else (each copy needs a slot of its own), or its log had grown past max_retained`;
}

/** The prefix of a YugabyteDB stream's id in `system`. */
export const yugabyteStream = "yugabytedb/";
