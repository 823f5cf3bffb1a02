import type { Rows } from "../../protocol/rows.ts";
import type { Deletion } from "../../protocol/destination.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import type { Copy, Mode, Stage } from "./model.ts";

/** A parameter of a statement: `$1`, `$2`, … */
export type Parameter = string | number | null;

/** A row of a small result. A number may come as text or as a bigint; `Number` converts both. */
export type Row = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** One session of a database. Statements run one after the other. */
export interface Session {
  readonly dialect: Dialect;
  /** Resolves to the number of rows that the statement changed. */
  run(sql: string, parameters?: readonly Parameter[]): Promise<number>;
  /** The rows of a small result. */
  rows(sql: string, parameters?: readonly Parameter[]): Promise<readonly Row[]>;
  /** The number in a result of one row and one column. */
  number(sql: string, parameters?: readonly Parameter[]): Promise<number>;
  /** Rolls back the transaction and the statement that is running. */
  rollback(): Promise<void>;
  /**
   * A loader for batches of `table` with the columns and types of `shape`. Throws `DEFECT` for a column without a
   * target, and `VALUE_OUT_OF_RANGE` for a column whose values the target's type can't hold.
   */
  loader(table: Table, into: Into, shape: Rows): Promise<Loader>;
  /**
   * A loader that runs `statement` on batches of any shape and stores nothing else. The statement gets each batch as a
   * relation with the given columns, named as in a stage. Columns that a batch lacks are NULL there, and columns that
   * are not given are left out.
   */
  through(table: Table, columns: ReadonlyMap<string, Type>, statement: (source: string) => string): Loader;
  /**
   * The rows of a small result of a query that reads batches of one shape in memory, once. The query gets them as in
   * `through`.
   */
  over(
    table: Table,
    columns: ReadonlyMap<string, Type>,
    batches: readonly Rows[],
    query: (source: string) => string,
  ): Promise<readonly Row[]>;
  /**
   * The rows of a query, as they are when the first page is requested. Later writes and commits do not change the
   * result.
   */
  pages(table: Table, query: string, columns: readonly Fetched[]): AsyncGenerator<Rows>;
}

/** Loads batches into the database. */
export interface Loader {
  /** Resolves when there is room for more rows. The caller must not change the rows before `flush` resolves. */
  push(rows: Rows): Promise<void>;
  /** Resolves when the database has all rows. The loader must not be used after that. */
  flush(): Promise<void>;
}

/** A column that can be written: its quoted name and its type in the database. */
export interface Target {
  readonly sql: string;
  readonly type: Type;
}

/** The number of rows that were loaded into a relation. The next row's number follows from it. */
export interface Counter {
  rows: number;
}

/** The relation that batches are loaded into. */
export interface Into {
  readonly relation: string;
  /** By the columns' names in the source. */
  readonly targets: ReadonlyMap<string, Target>;
  /** Columns with the same value in every row: a flag, or a time (ISO 8601, UTC). */
  readonly constants: readonly { readonly sql: string; readonly value: boolean | string }[];
  /** Whether rows get a hash of their values: for tables without a key. */
  readonly hashed: boolean;
  /** Counts the rows, if they are numbered; `null`: they are not. */
  readonly counter: Counter | null;
}

/** A column of a query, with the type in which its values are returned. */
export interface Fetched {
  readonly name: string;
  readonly sql: string;
  /** The type in the copy. */
  readonly stored: Type;
  /** The type of the returned values. */
  readonly type: Type;
}

/** A change to a column of an existing table. Names are quoted. */
export type ColumnChange = Target &
  (
    | { readonly kind: "add" }
    /** Every value stays exactly the same. */
    | { readonly kind: "widen"; readonly from: Type }
  );

/** The database's description of a table. */
export interface Described {
  /** The table's name, the columns' names and the native types, as the database stores them. */
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Names of the indexes that Headwaters created. */
  readonly indexes: readonly string[];
}

/** The differences in SQL between the databases that can be destinations. */
export interface Dialect {
  /** The database's name in messages. */
  readonly title: string;
  readonly begin: string;
  /** Whether a stage numbers its rows, because the database does not keep rows in the order in which they arrived. */
  readonly numbered: boolean;
  /** Whether the bookkeeping tables get their constraints, and the system columns of a copy `NOT NULL`. */
  readonly constraints: boolean;
  /** Whether a newly filled table needs `ANALYZE` before it is joined. */
  readonly analyzes: boolean;
  /** SQL definitions of additional columns of `leases`. */
  readonly leaseColumns: string;
  /** The type of a sum of parts of {@link strong}. */
  readonly sumType: string;
  /** If a table has a cursor, a copy with more rows gets no seal: it would take too long to sum up all rows. */
  readonly sealedRows: number;
  /** The end of a subquery that keeps its expressions from being evaluated for each use. */
  readonly fence: string;

  /** A name as the database stores it. */
  physical(name: string): string;
  /** Two names with the same identity are the same name to the database. */
  identity(name: string): string;
  /** Columns that the database gives every table. */
  readonly hiddenColumns: ReadonlySet<string>;
  /** A table with one of these columns has no order of rows, so that the last of two rows can't be found. */
  readonly hidesOrder: ReadonlySet<string>;
  /** The message for two columns that can't both exist: `columns "a" and "A" …`. */
  collision(one: string, other: string): string;
  /** A quoted name. */
  quote(name: string): string;
  relation(schema: string, name: string): string;
  /** The quoted name of a table that lasts as long as the session, in a schema that can't hold a user's table. */
  temporary(name: string): string;
  /** A suffix for the names of one connection's bookkeeping tables: empty, or different for each connection. */
  ownSuffix(connection: string): string;

  typeName(type: Type): string;
  /** Our type for a native type of {@link Described}; `null`: there is none. */
  typeOf(native: string): Type | null;
  /** An expression for a value that can be compared and grouped by. */
  comparable(expression: string, type: Type): string;
  /** Like {@link comparable}, but values that are only equal to the database (such as -0 and 0) stay apart, if it keeps them. */
  exact(expression: string, type: Type): string;
  /** The condition that two values differ in any way that the database keeps. */
  differ(a: string, b: string, type: Type): string;
  /** A hash of 64 bits of the values of columns. Sums of it show swapped values: each bit depends on every column. */
  hash(columns: readonly Target[]): string;
  /** A cryptographic digest of the values of columns, over a text that no other row has. It does not depend on `hash`. */
  strong(columns: readonly Target[]): string;
  /** Two numbers of 64 bits from a {@link strong} digest. */
  halves(digest: string): readonly [string, string];
  /** The bucket of a hash. `buckets` is a power of two. */
  bucket(hash: string, buckets: number): string;
  /** A digest of 32 characters of several concatenated texts. */
  digest(texts: readonly string[]): string;
  /** The condition that rows of `s` and `t` have the same {@link exact} values in these columns. A FULL JOIN can use it. */
  sameValues(columns: readonly Target[], s: string, t: string): string;
  /** The rows of a JSON text, which is a parameter, as a relation `given`. */
  records(parameter: string, columns: Readonly<Record<string, "text" | "bigint" | "boolean" | "integer">>): string;
  /** Statements that change columns; one statement for all if that is cheaper. */
  alter(relation: string, changes: readonly ColumnChange[]): readonly string[];

  createSchema(session: Session, schema: string): Promise<void>;
  /** Locks the bookkeeping until the transaction ends, so that concurrent sessions do not create it twice. */
  lockBookkeeping(session: Session): Promise<void>;
  /** Describes a table, if it exists; `null`: all tables of the schema. */
  describe(session: Session, schema: string, table: string | null): Promise<readonly Described[]>;
  /** Whether this text can be the comment of a table or a column. */
  keepsComment(text: string): boolean;
  /** The views of a schema, with their comments; empty: there is no such schema. */
  viewComments(session: Session, schema: string): Promise<ReadonlyMap<string, string | null>>;
  /** Throws if the database can't store the table's names, or the values of these rows. */
  vet(table: Table, rows: Rows | null): void;
  readonly slicing: Slicing;
  readonly merging: Merging;
  /** Absent: one process writes a connection at a time. */
  readonly team?: TeamSql;
}

/** What members of a team need of the database, in a transaction. */
interface TeamSql {
  /** A lock that ends with the transaction; `shared`: with others that ask for it so. */
  lock(session: Session, what: string, shared: boolean): Promise<void>;
  /** A number of the transaction that no other has; a transaction that begins later and commits has a greater one. */
  number(session: Session): Promise<number>;
}

/**
 * How a statement over long values stays within the memory that the database may use. A relation whose values are short
 * is one part, and nothing is picked from it.
 */
export interface Slicing {
  /** Must be called after a copy was created: it has no rows yet. */
  created(relation: string): void;
  /** Cuts a table into relations that hold some MiB at most, each with all of its columns. */
  parts(session: Session, relation: string, columns: readonly Target[]): Promise<readonly string[]>;
  /**
   * The rows `t` of a table that `which` finds, as a relation. `which` is the SQL after `FROM … t`; it must read short
   * columns only, because the long ones are then read only for the rows that it finds.
   */
  pick(session: Session, relation: string, which: string): Promise<string>;
  /**
   * Must be called after rows of the table `from` were inserted into the table `into`. Throws `DESTINATION_UNUSABLE` if
   * the rows are too long to be stored.
   */
  moved(session: Session, table: Table, from: string, into: string, columns: readonly Target[]): Promise<void>;
}

/** The settings for writing rows to a copy. */
export interface Writing {
  readonly session: Session;
  /** The value of the synced column: ISO 8601, UTC. */
  readonly stamp: string;
  readonly deletion: Deletion;
  /**
   * Does work that changes rows of the copy. `which` finds these rows `t` before the work, and their successors after it, each
   * once if the copy has each key once: it is SQL after `FROM … t`. `null`: the work leaves no live row.
   */
  changing<Result>(which: string | null, work: () => Promise<Result>): Promise<Result>;
}

/** Rows that are merged into a copy. */
export interface Incoming {
  readonly stage: Stage;
  /** Whether the stage has a column that marks deleted rows. */
  readonly flagged: boolean;
  /**
   * Set if the stage has every row of the source, so that most rows are equal. Rows of the copy with a later stamp than
   * this one (ISO 8601, UTC) are not changed.
   */
  readonly before: string | null;
}

/** The rows of a stage and of its copy that may differ. */
export interface Narrowed {
  /** The text before SELECT: empty, or a WITH clause. */
  readonly prefix: string;
  readonly source: string;
  readonly target: string;
}

/** How rows are found and written. Each database has its own fast way. */
export interface Merging {
  /** Lets a column of the copy be NULL, by its name in the source: it may be one of an earlier key. */
  release(session: Session, copy: Copy, column: string): Promise<void>;
  /** Creates or drops the copy's index on its key, as an open pass in this mode needs it. */
  prepare(session: Session, mode: Mode, table: Table, copy: Copy): Promise<Copy>;
  /**
   * Completes a copy after a first full pass: of rows with the same key only the last stays. Resolves to the number of
   * removed rows. `distinct`: throws `KEY_DUPLICATE` instead.
   */
  finish(
    session: Session,
    table: Table,
    copy: Copy,
    distinct: boolean,
  ): Promise<{ readonly copy: Copy; readonly removed: number }>;
  /**
   * Removes all but the last of the rows with the same key from a stage. Resolves to the number of removed rows.
   * `distinct`: throws `KEY_DUPLICATE` instead.
   */
  keepLast(session: Session, table: Table, stage: Stage, distinct: boolean): Promise<number>;
  /** Prepares the copy to store the keys of the stage. */
  makeRoom(session: Session, table: Table, copy: Copy, stage: Stage): Promise<Copy>;
  /** The condition that row `s` of a stage and row `t` of the copy have the same key. */
  sameKey(dialect: Dialect, table: Table, copy: Copy, s: string, t: string): string;
  /**
   * Leaves out rows that are certainly equal in the key and in `columns`. If `told` names one of these columns, rows
   * with NULL in it are kept. `copyRows`: about how many rows the copy has.
   */
  narrow(
    dialect: Dialect,
    table: Table,
    copy: Copy,
    stage: Stage,
    columns: readonly string[],
    told: string | null,
    copyRows: number,
  ): Narrowed;
  /**
   * Writes the rows that differ: the copy lacks the key, has the row marked as deleted, or has other values. Equal rows
   * are neither written nor stamped. The stage must have one row for each key.
   */
  merge(writing: Writing, table: Table, copy: Copy, incoming: Incoming): Promise<Changes>;
}
