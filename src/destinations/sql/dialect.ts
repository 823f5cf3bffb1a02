import type { Rows } from "../../protocol/rows.ts";
import type { Deletion } from "../../protocol/destination.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import type { Copy, Mode, Stage } from "./model.ts";

/** What a statement can be given, as `$1`, `$2`, … */
export type Parameter = string | number | null;

/** A row of a small result. A number may come as text, or as a bigint: `Number` makes one of each. */
export type Row = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** One session at a database. Statements run one after the other. */
export interface Session {
  readonly dialect: Dialect;
  /** Resolves to how many rows the statement changed. */
  run(sql: string, parameters?: readonly Parameter[]): Promise<number>;
  /** For results that are small. */
  rows(sql: string, parameters?: readonly Parameter[]): Promise<readonly Row[]>;
  /** The one number of the one row of a result. */
  number(sql: string, parameters?: readonly Parameter[]): Promise<number>;
  /** Undoes the transaction, with the statement under way. */
  rollback(): Promise<void>;
  /**
   * A loader of batches of `table` that look like `shape`. Throws `DEFECT` for a column that has no target, and
   * `VALUE_OUT_OF_RANGE` for one whose values the type there can't hold.
   */
  loader(table: Table, into: Into, shape: Rows): Promise<Loader>;
  /**
   * A loader that keeps nothing itself: `statement` is run over batches of any shape, as a relation that has the given
   * columns by the names of a stage. What a batch lacks is NULL, and what is not among the columns is left out.
   */
  through(table: Table, columns: ReadonlyMap<string, Type>, statement: (source: string) => string): Loader;
  /**
   * The rows of a query, as they are when the first of them is asked for: what is written and committed meanwhile
   * changes nothing of them.
   */
  pages(table: Table, query: string, columns: readonly Fetched[]): AsyncGenerator<Rows>;
}

/** Takes batches on their way into the database. */
export interface Loader {
  /** Resolves when there is room for more. The rows are not to be changed before `flush` resolves. */
  push(rows: Rows): Promise<void>;
  /** Resolves when the database has everything; the loader is over then. */
  flush(): Promise<void>;
}

/** A column that can be written: its name as SQL has it, and the type that it has there. */
export interface Target {
  readonly sql: string;
  readonly type: Type;
}

/** How many rows a relation was given: they are counted on from there. */
export interface Counter {
  rows: number;
}

/** Where batches go. */
export interface Into {
  readonly relation: string;
  /** By the names that the source has for the columns. */
  readonly targets: ReadonlyMap<string, Target>;
  /** Columns that are the same in every row: a flag, or a moment (ISO 8601, UTC). */
  readonly constants: readonly { readonly sql: string; readonly value: boolean | string }[];
  /** Rows get the hash of what is in them: those of a table without a key. */
  readonly hashed: boolean;
  /** Counts the rows, where they are numbered; `null`: they are not. */
  readonly counter: Counter | null;
}

/** A column of a query, and how it is handed out. */
export interface Fetched {
  readonly name: string;
  readonly sql: string;
  /** What it is in the copy. */
  readonly stored: Type;
  /** What it is handed out as. */
  readonly type: Type;
}

/** What is to change in the columns of a table that is there. Names as SQL has them. */
export interface ColumnChange extends Target {
  /** `widen`: every value stays exactly what it is. */
  readonly kind: "add" | "widen";
}

/** What the database says of one of its tables. */
export interface Described {
  /** The table's name and those of its columns, as the database has them, with its own types. */
  readonly columns: readonly { readonly table: string; readonly name: string; readonly type: string }[];
  /** Names of the indexes that we made. */
  readonly indexes: readonly string[];
}

/** In what SQL differs between the databases that copies are kept in. */
export interface Dialect {
  /** As people write it. */
  readonly title: string;
  readonly begin: string;
  /** A stage numbers its rows, since the database does not keep them in the order in which they came. */
  readonly numbered: boolean;
  /** What the bookkeeping needs as constraints, and the system columns of a copy. */
  readonly constraints: boolean;
  /** Statistics must be taken of a table that was just filled, before it is joined. */
  readonly analyzes: boolean;
  /** Further columns of `leases`, as SQL has them. */
  readonly leaseColumns: string;
  /** The type of a sum of hashes. */
  readonly sumType: string;

  /** A name as the database keeps it. */
  physical(name: string): string;
  /** Two names with the same one are one name to the database. */
  identity(name: string): string;
  /** Columns that every table has already. */
  readonly hiddenColumns: ReadonlySet<string>;
  /** Columns that take the order of rows away from a table which has one of them: the last of two can't be told then. */
  readonly hidesOrder: ReadonlySet<string>;
  /** Why two columns can't both be there: `columns "a" and "A" …`. */
  collision(one: string, other: string): string;
  /** A name as SQL has it. */
  quote(name: string): string;
  relation(schema: string, name: string): string;
  /** A table that lasts as long as the session: in a schema that no table of a user can be in. */
  temporary(name: string): string;
  /** Put behind the names of the bookkeeping tables of one connection: nothing, or what tells connections apart. */
  ownSuffix(connection: string): string;

  typeName(type: Type): string;
  /** The type of a column, as {@link Described} has it; `null`: none of ours. */
  typeOf(native: string): Type | null;
  /** A value as it can be compared and grouped by. */
  comparable(expression: string, type: Type): string;
  /** A number of 64 bits for the values of columns: another one for rows that differ. */
  hash(columns: readonly Target[]): string;
  /** The bucket that a hash is in, of `buckets`, a power of two. */
  bucket(hash: string, buckets: number): string;
  /** A text of 32 letters for several texts, one behind the other. */
  digest(texts: readonly string[]): string;
  /** Rows of `s` and `t` have the same values in these columns: as a condition that a FULL JOIN takes. */
  sameValues(columns: readonly Target[], s: string, t: string): string;
  /** Rows of a JSON text, which is a parameter, as a relation `given`. */
  records(parameter: string, columns: Readonly<Record<string, "text" | "bigint" | "boolean">>): string;
  /** Statements that change columns, in one go where that is cheaper. */
  alter(relation: string, changes: readonly ColumnChange[]): readonly string[];

  createSchema(session: Session, schema: string): Promise<void>;
  /** Two that make the same bookkeeping at once wait for one another until their transactions end. */
  lockBookkeeping(session: Session): Promise<void>;
  describe(session: Session, schema: string, table: string): Promise<Described>;
  /** Throws where the names of a table, or the values of these rows, can't be kept. */
  vet(table: Table, rows: Rows | null): void;
  readonly merging: Merging;
}

/** How rows are written to a copy. */
export interface Writing {
  readonly session: Session;
  /** Goes to the synced column: ISO 8601, UTC. */
  readonly stamp: string;
  readonly deletion: Deletion;
}

/** Rows that are merged into a copy. */
export interface Incoming {
  readonly stage: Stage;
  /** The stage says of each row whether it was deleted. */
  readonly flagged: boolean;
  /** The stage has every row of the source: most are equal. Rows of the copy with a later stamp (ISO 8601, UTC) are left alone. */
  readonly before: string | null;
}

/** The rows of a stage and of its copy that come into question. */
export interface Narrowed {
  /** What stands before SELECT: nothing, or WITH. */
  readonly prefix: string;
  readonly source: string;
  readonly target: string;
}

/** How rows are found and written: each database has a way of its own that is fast. */
export interface Merging {
  /** A pass is open in this mode, or was given up: the copy gets or loses what finds its rows. */
  prepare(session: Session, mode: Mode, table: Table, copy: Copy): Promise<Copy>;
  /** A first full pass is done: of rows with one key the last stays. Resolves to how many others there were. */
  finish(session: Session, table: Table, copy: Copy): Promise<{ readonly copy: Copy; readonly removed: number }>;
  /** Of rows with one key in a stage only the last stays. Resolves to how many others there were. */
  keepLast(session: Session, table: Table, stage: Stage): Promise<number>;
  /** The copy can take the keys of the stage. */
  makeRoom(session: Session, table: Table, copy: Copy, stage: Stage): Promise<Copy>;
  /** Row `s` of a stage and row `t` of the copy have the same key. */
  sameKey(dialect: Dialect, table: Table, copy: Copy, s: string, t: string): string;
  /**
   * Leaves out rows that are surely equal in `columns`, beside the key. Where `told` names one of them, rows that have
   * NULL there are not.
   */
  narrow(
    dialect: Dialect,
    table: Table,
    copy: Copy,
    stage: Stage,
    columns: readonly string[],
    told: string | null,
  ): Narrowed;
  /**
   * Writes what differs: keys that the copy lacks, that are deleted there, or whose other columns differ. What is equal
   * is neither written nor stamped. Of each key there must be one row.
   */
  merge(writing: Writing, table: Table, copy: Copy, incoming: Incoming): Promise<Changes>;
}
