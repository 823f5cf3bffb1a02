import type { Session } from "./dialect.ts";
import { bookkeepingSchema } from "./names.ts";

type ColumnType = "text" | "bigint" | "boolean" | "integer";

export interface Definition {
  /** Columns of later versions are added at the end. */
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** The columns that are unique in a connection. They are the primary key, in databases with constraints. */
  readonly key?: readonly string[];
  /** Columns of older versions, whose values a migration has put elsewhere. */
  readonly dropped?: readonly string[];
  /** Further constraints, in databases that have them. */
  readonly constraints?: string;
}

/**
 * The bookkeeping tables in the destination. They are written in the same transactions as the data. One writer holds
 * the lease of a connection, and only this writer changes the connection's rows. Times are text: ISO 8601, UTC.
 */
const tables = {
  format: { columns: { version: "integer" } },
  // `stamp`: the stamp of the last commit, in microseconds.
  leases: {
    columns: {
      connection: "text",
      lease: "bigint",
      host: "text",
      pid: "bigint",
      since: "text",
      held: "boolean",
      stamp: "text",
    },
    key: [],
  },
  // The names of the copies that Headwaters created, and the columns that the source last had.
  copies: {
    columns: { connection: "text", id: "text", schema_name: "text", table_name: "text", columns: "text" },
    key: ["id"],
    constraints: "UNIQUE (schema_name, table_name)",
  },
  passes: {
    columns: { connection: "text", id: "text", pass: "text" },
    key: ["id"],
  },
  // How the rows of a pass reach the copy of a table. `stage` is the table that they are set aside in, `columns` are
  // the stage's columns, and `ordinal` is the number of rows loaded into it.
  pass_tables: {
    columns: {
      connection: "text",
      pass: "text",
      id: "text",
      mode: "text",
      stage: "text",
      columns: "text",
      ordinal: "bigint",
    },
    key: ["pass", "id"],
  },
  progress: {
    columns: {
      connection: "text",
      pass: "text",
      split: "text",
      attempt: "bigint",
      version: "bigint",
      state: "text",
      done: "boolean",
      as_of: "text",
    },
    key: ["pass", "split"],
  },
  // Operations that no checkpoint covers yet. Consecutive operations of one kind on table `id` share one stage.
  held: {
    columns: {
      connection: "text",
      pass: "text",
      split: "text",
      place: "bigint",
      id: "text",
      kind: "text",
      stage: "text",
      columns: "text",
      ordinal: "bigint",
    },
    key: ["pass", "split", "place"],
  },
  tables: {
    columns: { connection: "text", id: "text", state: "text" },
    key: ["id"],
  },
  // Whether the copy of a table is as our last write left it, see `seals.ts`. `n` and `digest` are of its live rows.
  seals: {
    columns: {
      connection: "text",
      id: "text",
      state: "text",
      written: "text",
      n: "bigint",
      digest: "text",
      how: "text",
    },
    key: ["id"],
  },
  // `asked_by`: who asked for it. `verdict` is of a verify.
  runs: {
    columns: {
      connection: "text",
      id: "text",
      started: "text",
      kind: "text",
      asked_by: "text",
      ended: "text",
      outcome: "text",
      verdict: "text",
      error_code: "text",
      error_message: "text",
      error_hint: "text",
    },
    key: ["id"],
    // Until version 3: the whole record as JSON.
    dropped: ["run"],
  },
  // What a run did to table `id`; `place` orders the tables. `passes` has blanks, and `reasons` line breaks, between them.
  run_tables: {
    columns: {
      connection: "text",
      run: "text",
      id: "text",
      place: "bigint",
      outcome: "text",
      passes: "text",
      rows_read: "bigint",
      bytes_read: "bigint",
      inserted: "bigint",
      updated: "bigint",
      deleted: "bigint",
      milliseconds: "bigint",
      as_of: "text",
      verdict: "text",
      reasons: "text",
      error_code: "text",
      error_message: "text",
      error_hint: "text",
    },
    key: ["run", "id"],
  },
  schema_changes: {
    columns: { connection: "text", seen: "text", id: "text", change: "text" },
    key: ["seen", "id", "change"],
  },
} as const satisfies Readonly<Record<string, Definition>>;

/** A table of the bookkeeping. */
export type Kept = keyof typeof tables;

export const keptTables = Object.keys(tables) as readonly Kept[];

export function keptDefinition(table: Kept): Definition {
  return tables[table];
}

/** The types of a table's columns, without the connection. */
export function keptTypes(table: Kept): Readonly<Record<string, ColumnType>> {
  const { connection: _, ...types } = tables[table].columns as Definition["columns"];
  return types;
}

/** The columns that are unique in a connection. */
export function keptKey(table: Kept): readonly string[] {
  return (tables[table] as Definition).key ?? [];
}

/** The tables that all connections of a destination share. The others belong to one connection. */
const shared: ReadonlySet<Kept> = new Set(["format", "copies"]);

export function keptName(table: Kept, suffix: string): string {
  return shared.has(table) ? table : table + suffix;
}

/** The quoted name of a bookkeeping table. */
export function kept({ dialect }: Session, table: Kept, connection: string): string {
  return dialect.relation(bookkeepingSchema, keptName(table, dialect.ownSuffix(connection)));
}
