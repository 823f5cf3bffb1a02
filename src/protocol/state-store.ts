import type { HeadwatersError } from "./errors.ts";
import type { Pass, Progress } from "./pass.ts";
import type { TableState } from "./table.ts";

/** The process, or the team of processes, that holds the lease of a connection. */
export interface Holder {
  /** Of a team: its name, such as that of its workflow. */
  readonly host: string;
  /** 0: a team. */
  readonly pid: number;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** What the destination keeps of a connection. */
export interface Stored {
  /** Passes that are open. */
  readonly passes: readonly Pass[];
  /** The progress of their splits. */
  readonly progress: readonly Progress[];
  /** By table id. */
  readonly tables: ReadonlyMap<string, TableState>;
  /** The run that began last; `null`: none yet, or runs are not stored. */
  readonly lastRun: RunRecord | null;
  /** The stamp of the last commit, see `Destination.begin`; `null`: none yet, or stamps are not stored. */
  readonly lastStamp: string | null;
}

/** Where the state of a connection is kept, and who may write it. */
export interface StateStore {
  /**
   * Makes this process the only writer of the connection and returns a lease, greater than any earlier one. Throws
   * `SYNC_RUNNING`, which names the holder, while another process holds the lease. It ends with `release`, with the
   * destination, or with the process.
   */
  acquire(holder: Holder): Promise<number>;
  /** No-op for any lease but the one that is held. */
  release(lease: number): Promise<void>;
  load(): Promise<Stored>;
  /** Absent: one process writes a connection at a time. */
  readonly team?: Team;
}

/**
 * The lease of several processes that write one connection together. It outlives each of them, and expires by the
 * destination's clock. Members never wait for one another to commit; the compare-and-set of each split's progress keeps
 * them apart, and what is done to a table as a whole (open, settle, abandon) is done by one of them.
 */
export interface Team {
  /**
   * As {@link StateStore.acquire}. The same team (its `host` and `since`) is given a new lease, by which members that have
   * the earlier one are refused.
   */
  acquire(holder: Holder): Promise<number>;
  /**
   * From here on this process writes as a member, sees what the others have stored, and is the only one that does `work`:
   * a member that did it before and was given up, frozen or out of reach, is cut off, and keeps no locks. Renews the
   * lease. Throws `LEASE_LOST`. Resolves to the destination's clock: milliseconds since 1970.
   */
  join(lease: number, work: string): Promise<number>;
  /** The lease stays for a while longer. Throws `LEASE_LOST`. */
  renew(lease: number): Promise<number>;
  /** No-op for a lease that is not the newest. */
  release(lease: number): Promise<void>;
  /** Replaces what the record of the run says of one table. No other member works on the table. */
  recordTable(run: string, table: TableRun): Promise<void>;
}

/** What a run was for. */
export type RunKind = "sync" | "verify" | "follow";

/** Who asked for a run. */
export type Trigger = "schedule" | "retry" | "person" | "command line";

/**
 * What a comparison of source and copy ends with.
 *
 * - `CONVERGED`: they are equal.
 * - `NOT PROVEN`: they differ, but the source has changed since the sync, which may be the reason.
 * - `DIVERGED`: they differ without an explanation.
 */
export type Verdict = "CONVERGED" | "NOT PROVEN" | "DIVERGED";

/** The record of one run, stored in the destination. */
export interface RunRecord {
  readonly id: string;
  /** Absent: a sync. */
  readonly kind?: RunKind;
  /** Absent: the command line. */
  readonly trigger?: Trigger;
  /** For a verify that was completed. */
  readonly verdict?: Verdict;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly ended: string | null;
  /** `died`: its process ended without completing the record, mostly because it was killed. */
  readonly outcome: "running" | "succeeded" | "failed" | "stopped" | "died";
  readonly tables: readonly TableRun[];
  /** Why the whole run failed, whatever happened to its tables. Absent: only tables failed. */
  readonly error?: RecordedError;
}

/** An error as records keep it. */
export type RecordedError = Pick<HeadwatersError, "code" | "message" | "hint">;

/** What one run did to one table. */
export interface TableRun {
  readonly table: string;
  readonly outcome: "running" | "whole" | "failed" | "stopped";
  /** The kinds of its passes, in their order. */
  readonly passes: readonly string[];
  /** Rows and bytes that were read from the source. */
  readonly rowsRead: number;
  readonly bytesRead: number;
  /** Rows of the copy that were changed. */
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly milliseconds: number;
  readonly asOf: string | null;
  /** Why the table failed. */
  readonly error: RecordedError | null;
  /** Of a verify: what it found, and why, in whole sentences. */
  readonly verdict?: Verdict;
  readonly reasons?: readonly string[];
}
