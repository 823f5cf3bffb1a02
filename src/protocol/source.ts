import type { z } from "zod";
import type { Json } from "./json.ts";
import type { Log } from "./log.ts";
import type { Operation } from "./operation.ts";
import type { Pass, PassKind, Plan, Split } from "./pass.ts";
import type { Rows } from "./rows.ts";
import type { Table } from "./table.ts";
import type { Type } from "./types.ts";

/** An open source database. Its methods may be called at the same time; disposing ends what is under way. */
export interface Source extends AsyncDisposable {
  /** Looks at one thing after the other (reachable, log in, privileges, …) and says of each how it stands. */
  check(signal: AbortSignal): AsyncIterable<CheckResult>;

  /**
   * Every table that this login may read and that can be copied; what is hidden or unreadable is an error to tell.
   * `known`: tables as the copy has them, as far as there is one. A source that infers its schema goes on with the names
   * and the cursors that they have, whatever it sees now; one that declares it has no use for them.
   */
  discover(signal: AbortSignal, known?: readonly Table[]): Promise<readonly Table[]>;

  /**
   * Cuts the reading of `tables` into splits and takes the read point, without reading a row of them.
   * `previous` is the `next` of the last closed pass by table id; a `window` or a `stream` begins there. A table is not
   * in it that has no copy yet, or is to be read anew.
   */
  plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan>;

  /**
   * Takes up a pass that another process planned. Resolves to the pass to go on with (its snapshot may be a new one),
   * or to `null` where going on would be unsound, and the pass must start over.
   */
  resume(pass: Pass, signal: AbortSignal): Promise<Pass | null>;

  /**
   * Reads a split from `state` (`null`: from its start). Checkpoint as often as the position is cheap to tell, at best
   * after each batch: rows behind the last checkpoint are held in memory and read again after a failure.
   * The end of the iteration says that the split is done. Throws {@link HeadwatersError}s only.
   */
  read(pass: Pass, split: Split, state: Json, how: Reading): AsyncIterable<Operation>;

  /** Reads rows by key, at the strongest consistency there is. Keys that do not exist are left out. */
  lookup(table: Table, keys: Rows, how: Reading): AsyncIterable<Rows>;

  /** Called after a commit that holds `state`: a stream may let go of what lies before it. */
  acknowledge?(split: Split, state: Json): Promise<void>;
}

/** How something is to be read. */
export interface Reading {
  /** Ends every wait at once. */
  readonly signal: AbortSignal;
  /** About how many bytes a batch should have. */
  readonly batchBytes: number;
  /** A stream ends when it has caught up, or never. */
  readonly until: "caught up" | "forever";
  /**
   * `independent`: by another path than `fast` takes, where the source has one (text against binary), so that
   * `verify` does not trust the decoder that it checks.
   */
  readonly path: "fast" | "independent";
}

/** How one thing that `check` looked at stands. */
export interface CheckResult {
  /** Stable and short: `connect`, `login`, `privileges`. */
  readonly name: string;
  /** For people: "Log in as reader". */
  readonly label: string;
  readonly status: "ok" | "warning" | "failed";
  /** What was seen; of a failure what is wrong and what to do. */
  readonly message: string;
}

/** Names, or patterns in which `*` stands for anything. A name is chosen if `include` has it (or is empty) and `exclude` has it not. */
export interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** What a user may set for one table. */
export interface TableOptions {
  /** The cursor column; `null`: read without one; absent: detected. */
  readonly cursor?: string | null;
  /** Types that replace the detected ones, by column. */
  readonly types?: Readonly<Record<string, Type>>;
  /**
   * Only rows that fulfil it are there: in every kind of pass, and when rows are looked up by key. In the language of
   * {@link SourceCapabilities.filter}; the source checks it, by the server where it can, before a row is read.
   */
  readonly filter?: Json;
  /**
   * Columns, by their names here, that are chosen. `discover` shows all that there are; a source that infers its schema
   * adds no column while it reads that is not chosen.
   */
  readonly columns?: Selection;
}

/**
 * What a filter of rows is written in. `sql`: a condition, as text. `cql`: restrictions joined by AND, as text.
 * `fields`: a mapping of fields to values and comparisons.
 */
export type FilterLanguage = "sql" | "cql" | "fields";

/** What a source is opened with, beside its configuration. */
export interface SourceContext {
  readonly log: Log;
  /** By table id; what the user set, for tables where they set anything. */
  readonly tables: Readonly<Record<string, TableOptions>>;
  /** `exact`, or the types that the published example of this source has. */
  readonly types: "exact" | "example";
  readonly signal: AbortSignal;
}

/** What a source can do, as data. */
export interface SourceCapabilities {
  readonly passes: readonly PassKind[];
  /** The source reads by another path for `verify`. */
  readonly independentPath: boolean;
  /**
   * `declared`: the source knows its columns. `inferred`: they are seen in the rows; `discover` looks at a sample, and
   * `read` sends `schema` operations before rows that need more.
   */
  readonly schema: "declared" | "inferred";
  /**
   * All selected tables are read by one `stream` pass, whose splits may span tables: they share what says how far the
   * source was read. Absent: each table is planned and read alone.
   */
  readonly together?: true;
  /**
   * After so long, in milliseconds, a copy is read anew: neither cursor nor sweep shows every change that there can be.
   * Absent: they do.
   */
  readonly reread?: number;
  /** Absent: rows can't be filtered. */
  readonly filter?: FilterLanguage;
}

/** A kind of source, as the registry knows it. */
export interface SourceDefinition<Schema extends z.ZodType = z.ZodType> {
  /** As in `source: yugabytedb`. */
  readonly name: string;
  /** As people write it: `YugabyteDB`. */
  readonly title: string;
  /**
   * Names of other sources that read the same by the same code: a copy or a state that one of them made goes on under
   * this name.
   */
  readonly kin?: readonly string[];
  /**
   * One schema gives the types, the check of YAML and JSON, the forms, the help and the reference in the docs.
   * Every setting has a `description` in its metadata; secrets have `secret: true` there.
   */
  readonly configuration: Schema;
  readonly capabilities: SourceCapabilities;
  /** What `check` always looks at, by name, with a label that needs no settings: forms offer these as tests. */
  readonly checks?: Readonly<Record<string, string>>;
  /**
   * The part of a configuration that decides which rows there are (server, database, schema): kept as part of the scope.
   * What concerns one table alone (a pattern of keys) stands under `tables`, by table id.
   */
  scope(configuration: z.output<Schema>): Json;
  /** The name of the destination schema, unless the user gives one. */
  schema(configuration: z.output<Schema>): string;
  /** Does not connect yet where connecting can fail: `check` tells the reason step by step. */
  open(configuration: z.output<Schema>, context: SourceContext): Promise<Source>;
}
