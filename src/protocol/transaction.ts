import type { Operation } from "./operation.ts";
import type { Pass, Progress, Split } from "./pass.ts";
import type { Rows } from "./rows.ts";
import type { RunRecord } from "./state-store.ts";
import type { Table, TableState } from "./table.ts";

/** An operation that changes something in the destination. */
export type Change = Exclude<Operation, { kind: "checkpoint" }>;

/** How many rows of one table a transaction changed. */
export interface Changes {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** The copy of a table compared with a complete pass that is about to be settled. */
export interface Settlement {
  /** Whether the pass read no row, or no key, at all. */
  readonly empty: boolean;
  /** Keys of the pass that the copy lacks or has in another version. Only for a `keys` pass; otherwise 0. */
  readonly missing: number;
  /**
   * Keys that the copy had before the pass and that the pass did not meet. If keys can't be compared (the pass replaces
   * the copy, or the table has no key): how many rows fewer the pass has than the copy.
   */
  readonly gone: number;
  /** How many of these had expired by the pass's read point, as the copy knows. Absent: it does not know. */
  readonly expired?: number;
}

/** What closing a pass does with the rows that it did not read. */
export type Deletes = "find" | "none" | "hold";

/** What the engine asks before it closes a pass over every key. Answers include what the transaction wrote so far. */
interface Settling {
  /** Rows of the copy that are not deleted; 0 if there is no copy. */
  count(table: Table): Promise<number>;
  settlement(pass: Pass, table: Table): Promise<Settlement>;
  /**
   * The keys (key columns) that {@link Settlement.missing} counts, to be looked up in the source. They are fixed when
   * the iteration begins. The engine may commit and begin transactions while it iterates; the iteration need not show
   * what is written meanwhile.
   */
  missing(pass: Pass, table: Table): AsyncIterable<Rows>;
  /** The keys that {@link Settlement.gone} counts, in the same way. */
  gone(pass: Pass, table: Table): AsyncIterable<Rows>;
}

/** If it is disposed without a commit, everything in it is undone. */
export interface Transaction extends Settling, AsyncDisposable {
  /** Stores a pass and prepares its tables: created, new columns added, types widened, dropped columns set to NULL. */
  open(pass: Pass): Promise<void>;
  /** Drops a pass and what was set aside for it. Rows that are in the copy already stay. */
  abandon(pass: Pass): Promise<void>;
  /**
   * Writes an operation of a whole segment. `split` is `null` for rows that the engine looked up while settling. A `schema`
   * operation also widens the stored pass, as `load` returns it.
   */
  write(pass: Pass, split: Split | null, operation: Change): Promise<void>;
  /**
   * Writes an operation that no checkpoint covers yet: the next commit makes it durable, and it has no effect on the copy
   * until `keep`. Operations of one split keep their order. A `schema` operation takes effect at once.
   */
  hold(pass: Pass, split: Split, operation: Change): Promise<void>;
  /** The checkpoint has come: what is held of the split takes effect, in its order, with this transaction. */
  keep(pass: Pass, split: Split): Promise<void>;
  /**
   * Drops what is held of a split that is read again; `null`: of all splits of the pass. What is held when a pass ends is
   * dropped with it.
   */
  discard(pass: Pass, split: Split | null): Promise<void>;
  /**
   * Call once all splits are done: settles what was set aside (writes what differs, deletes what the pass did not meet),
   * forgets the pass and stores `states`. Deletes only keys that the copy had before the pass was opened. `deletes`:
   * `find` by default; `none` if the settlement found none; `hold` them back, which a pass that replaces the copy can't.
   */
  close(pass: Pass, states: ReadonlyMap<string, TableState>, deletes?: Deletes): Promise<void>;
  /** Forgets all state of these tables; `drop` also drops their copies. */
  reset(tables: readonly string[], drop: boolean): Promise<void>;
  /** Stores the record of a run; one with the same id is replaced. */
  record(run: RunRecord): Promise<void>;
  /**
   * Makes data, state and progress durable together. Compare-and-set: throws `LEASE_LOST`, and changes nothing, if the
   * lease is not the newest or a progress does not follow the stored one. Resolves to the changes by table id.
   */
  commit(progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>>;
}
