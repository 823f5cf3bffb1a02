import type { z } from "zod";
import type { Remedy } from "./errors.ts";
import type { Json } from "./json.ts";
import type { Log } from "./log.ts";
import type { Operation } from "./operation.ts";
import type { Pass, PassKind, Plan, Split } from "./pass.ts";
import type { Rows } from "./rows.ts";
import type { Table } from "./table.ts";
import type { Type } from "./types.ts";

/** An open source database. Its methods may be called concurrently. Disposing ends what is running. */
export interface Source extends AsyncDisposable {
  /** Checks one thing after the other (reachable, log in, privileges, …) and yields the result of each. */
  check(signal: AbortSignal): AsyncIterable<CheckResult>;

  /**
   * Every table that this login may read and that can be copied. A table that can't be described is among them, with the
   * reason (`refused`): it must not hide the others. Throws only if the source as a whole can't be asked.
   * `known`: the tables of the copy. A source that infers its schema keeps their names and cursors, whatever it sees now;
   * a source that declares its schema ignores them.
   */
  discover(signal: AbortSignal, known?: readonly Table[]): Promise<readonly Table[]>;

  /**
   * Cuts the reading of `tables` into splits and takes the read point, without reading a row.
   * `previous`: by table id, the `next` of the last closed pass, where a `window` or a `stream` begins. It lacks tables
   * without a copy, and tables that are read from the start; their copies are emptied before a `stream` is read.
   */
  plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan>;

  /**
   * Continues a pass that another process planned. Resolves to the pass to continue (its snapshot may be a new one), or to
   * `null` if resuming is unsound and the pass must start over.
   */
  resume(pass: Pass, signal: AbortSignal): Promise<Pass | null>;

  /**
   * Reads a split from `state` (`null`: from its start). Checkpoint wherever the position is cheap to find, ideally after
   * each batch: rows after the last checkpoint are held in memory, and are read again after a failure.
   * The end of the iteration means that the split is done. Throws only {@link HeadwatersError}s.
   */
  read(pass: Pass, split: Split, state: Json, how: Reading): AsyncIterable<Operation>;

  /** Reads rows by key, at the strongest consistency that the source offers. Omits keys that do not exist. */
  lookup(table: Table, keys: Rows, how: Reading): AsyncIterable<Rows>;

  /**
   * Called when the sync is done with these tables, whether they are whole or failed: gives back what is held for them at
   * the server, such as the session that keeps a snapshot. A later `plan` or `resume` takes it anew.
   */
  release?(tables: readonly string[]): Promise<void>;

  /** Called after the commit of `state`: a stream may drop everything before it. */
  acknowledge?(split: Split, state: Json): Promise<void>;

  /**
   * Called after commits, and at the end of a sync. `next`: by the id of every selected table, the `next` that the
   * destination holds durably, or else that of its open pass, or else `null`. The source may drop what lies before all of
   * them. Resolves to what it keeps; `null`: nothing.
   */
  keepFrom?(next: Readonly<Record<string, Json>>, signal: AbortSignal): Promise<KeptStream | null>;

  /**
   * From the first call on, the source listens to its stream all the time. Resolves to those `among` some tables that have
   * changed since their last `stream` pass was planned, once there is one, or after `within` milliseconds. Absent: no stream
   * is configured.
   */
  changed?(within: number, among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed>;

  /**
   * Removes what a stream keeps at the source, whether a stream is still configured or not. Resolves to what was removed,
   * such as `replication slot "s"`.
   */
  unfollow?(signal: AbortSignal): Promise<readonly string[]>;
}

/** What a stream keeps at the source. */
export interface KeptStream {
  /** From where on, as the source writes it. */
  readonly position: string;
  /** `null`: the source does not report a size. */
  readonly bytes: number | null;
  /**
   * The size in bytes at which the source drops it, by itself or on request; `null`: the source keeps what is needed,
   * or drops it by age.
   */
  readonly limit: number | null;
}

/** What a stream has reported. */
export interface Changed {
  /** Ids of tables. */
  readonly tables: readonly string[];
  /** When the oldest change since the last answer was committed: milliseconds since 1970. `null`: none came. */
  readonly since: number | null;
  /** Tables may have changed their columns, or may have been replaced. */
  readonly altered: boolean;
}

/** How to read. */
export interface Reading {
  /** Aborted: every wait ends at once. */
  readonly signal: AbortSignal;
  /** The approximate size of a batch, in bytes. */
  readonly batchBytes: number;
  /** Whether a stream ends once it has caught up, or never. */
  readonly until: "caught up" | "forever";
  /**
   * `independent`: by another path than `fast`, if the source has one (such as text instead of binary), so that `verify`
   * does not rely on the decoder that it checks.
   */
  readonly path: "fast" | "independent";
  /** For a look-up: rows that are not found are deleted, so the source reads at its strongest consistency. */
  readonly confirms?: true;
  /** Another process may have planned the pass and may keep its snapshot: the source tries that snapshot. */
  readonly elsewhere?: true;
}

/** The result of one check. */
export interface CheckResult {
  /** Stable and short: `connect`, `login`, `privileges`. */
  readonly name: string;
  /** For people, such as "Log in as reader". */
  readonly label: string;
  readonly status: "ok" | "warning" | "failed";
  /** For a failure: what to do; absent: `reconfigure`. */
  readonly remedy?: Remedy;
  /** What was found; after a failure, what is wrong and what to do. */
  readonly message: string;
}

/**
 * Names, or patterns in which `*` stands for anything. A name is selected if it is in `include` (or `include` is empty)
 * and not in `exclude`.
 */
export interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /**
   * Set where a form shows all names that the source has, as Fivetran's does: whether names in neither list are selected.
   * In such a selection `*` stands for itself, names that no longer exist are no mistake, key columns are always
   * selected, and columns may be left out without the user's agreement.
   */
  readonly others?: boolean;
}

/** The user's settings for one table. */
export interface TableOptions {
  /** The cursor column; `null`: none is used; absent: it is detected. */
  readonly cursor?: string | null;
  /** Types that replace the detected ones, by column. */
  readonly types?: Readonly<Record<string, Type>>;
  /**
   * Only rows that match exist: in every kind of pass, and when rows are looked up by key. In the language of
   * {@link SourceCapabilities.filter}. The source checks it, with the server's help if possible, before it reads a row.
   */
  readonly filter?: Json;
  /**
   * The selected columns, by their names in the source. `discover` shows all columns anyway; a source that infers its
   * schema adds only selected ones while it reads.
   */
  readonly columns?: Selection;
}

/**
 * The language of a filter. `sql`: a condition, as text. `cql`: restrictions joined by AND, as text. `fields`: a mapping
 * of fields to values and comparisons.
 */
export type FilterLanguage = "sql" | "cql" | "fields";

/** What a source is opened with, besides its configuration. */
export interface SourceContext {
  readonly log: Log;
  /** By table id; only for tables with settings of their own. */
  readonly tables: Readonly<Record<string, TableOptions>>;
  /** `exact`: types that hold every value. `example`: the types of the published connector example. */
  readonly types: "exact" | "example";
  /**
   * The source is opened to be followed. If no other process can continue its stream, it has `streamed` tables only then.
   */
  readonly follows?: true;
  readonly signal: AbortSignal;
}

/** What a source can do, as data. */
export interface SourceCapabilities {
  readonly passes: readonly PassKind[];
  /** Whether the source has another path to read for `verify`. */
  readonly independentPath: boolean;
  /**
   * `declared`: the source knows its columns. `inferred`: the rows show them; `discover` looks at a sample, and `read`
   * sends `schema` operations before rows that need more columns, or wider ones.
   */
  readonly schema: "declared" | "inferred";
  /**
   * All selected tables are read by one `stream` pass, since they share the position up to which the source was read. Its
   * splits may span tables. Absent: each table is planned and read alone.
   */
  readonly together?: true;
  /**
   * The age, in milliseconds, at which a copy is read fully again, since neither cursor nor sweep shows every change.
   * Absent: they do.
   */
  readonly reread?: number;
  /**
   * If the stream of a table does not go on from its copy, a window (if it has a cursor) and a sweep show what changed, if
   * it has a version. Absent: such a table is read whole.
   */
  readonly catchesUp?: true;
  /**
   * The age, in milliseconds, at which a copy that follows a stream is swept, since rows may disappear without a change
   * in the stream. Under Fivetran, where no sweep can be made, such a stream is not read. Absent: the stream shows
   * every delete.
   */
  readonly resweep?: number;
  /** Absent: filters are not supported. */
  readonly filter?: FilterLanguage;
}

/** A kind of source, as the registry knows it. */
export interface SourceDefinition<Schema extends z.ZodType = z.ZodType> {
  /** As in `source: yugabytedb`. */
  readonly name: string;
  /** As people write it: `YugabyteDB`. */
  readonly title: string;
  /**
   * Names of other sources that read the same by the same code. A copy or a state that one of them made goes on under
   * this name.
   */
  readonly kin?: readonly string[];
  /**
   * This one schema gives the types, the validation of YAML and JSON, the forms, the help and the reference in the docs.
   * Every setting has a `description` in its metadata; secrets also have `secret: true`.
   */
  readonly configuration: Schema;
  readonly capabilities: SourceCapabilities;
  /** The checks that `check` always makes: label by name. Forms offer them as tests. */
  readonly checks?: Readonly<Record<string, string>>;
  /**
   * The part of a configuration that decides which rows exist (server, database, schema), as part of the scope. What
   * concerns one table alone (such as a pattern of keys) is under `tables`, by table id.
   */
  scope(configuration: z.output<Schema>): Json;
  /**
   * The position from which the stream of a table goes on, by its stored `next`, as the source writes it; `null`: it
   * has none.
   */
  position?(next: Json): string | null;
  /** The name of the destination schema, unless the user sets one. */
  schema(configuration: z.output<Schema>): string;
  /** Does not connect yet: `check` reports step by step why connecting fails. */
  open(configuration: z.output<Schema>, context: SourceContext): Promise<Source>;
}
