import type { Pass, Progress } from "../../protocol/pass.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import type { Semaphore } from "../../toolkit/semaphore.ts";
import type { SyncConnection } from "../connection.ts";
import type { SyncHappening } from "../events.ts";
import type { Flags } from "../plan/decide.ts";
import type { Statistics } from "./statistics.ts";
import type { Writer } from "./writer.ts";

/** What the tables of one sync share. */
export interface SyncContext {
  readonly connection: SyncConnection;
  readonly flags: Flags;
  readonly writer: Writer;
  /** By table id. */
  readonly statistics: ReadonlyMap<string, Statistics>;
  /** The start of the sync: ISO 8601, UTC. */
  readonly started: string;
  readonly signal: AbortSignal;
  /** Whether this is a team: other members may have planned the passes. */
  readonly isMember: boolean;
  /** The bytes that all splits together may hold. */
  readonly memory: Semaphore;
  /** How many splits may be read at the same time. */
  readonly readers: Semaphore;
  readonly throttle: (rows: number, signal: AbortSignal) => Promise<void>;
  report(happening: SyncHappening): void;
}

/** What the destination holds of one table before it is synced. */
export interface StoredTable {
  readonly state: TableState | null;
  readonly open: Pass | null;
  readonly progress: readonly Progress[];
}

export function storedTable(stored: Stored, table: string): StoredTable {
  const open = stored.passes.find((pass) => pass.tables.some((candidate) => candidate.id === table)) ?? null;
  return {
    state: stored.tables.get(table) ?? null,
    open,
    progress: open === null ? [] : stored.progress.filter((entry) => entry.pass === open.id),
  };
}
