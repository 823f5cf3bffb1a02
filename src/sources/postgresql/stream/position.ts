import type { Json } from "../../../protocol/json.ts";
import { lsnOf } from "./lsn.ts";
import type { StreamNames } from "./names.ts";

/** Where the stream of one table goes on, as it is stored. */
export interface StreamPosition {
  readonly slot: string;
  /**
   * Which log it is. Of PostgreSQL the server and its timeline: after a failover or on another server, the log is another one.
   * Of YugabyteDB the stream of the slot: only within one can positions be compared.
   */
  readonly system: string;
  /** The table's place in the publication, its identity and the types of its key. */
  readonly published: string;
  /** All commits that begin before it are in the copy. */
  readonly lsn: string;
  /**
   * From this moment on the log surely has the table's changes, which it may lack before: then the table is read whole again.
   * Milliseconds since 1970. Absent: it has them.
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

/** Why what changed since a position can't be told, as the end of a sentence; `null`: the slot still has all of it. */
export function lostBecause(
  { slot, system, published, lsn }: StreamPosition,
  { names, system: current, published: place, confirmed }: Now,
): string | null {
  if (slot !== names.slot) return `it was read by the slot "${slot}"`;
  if (system !== current)
    return system.startsWith(yugabyteStream) && current.startsWith(yugabyteStream)
      ? `the slot "${slot}" was made again`
      : "the server is another one, or another one took over";
  if (published !== place)
    return `its key was altered, or it was not in the publication "${names.publication}" all the time`;
  if (lsnOf(lsn) >= confirmed) return null;
  return `the slot "${slot}" was made again or read by something else (each copy needs a slot of its own), or its log had grown past max_retained`;
}

/** What comes before the id of a stream of YugabyteDB, as `system`. */
export const yugabyteStream = "yugabytedb/";
