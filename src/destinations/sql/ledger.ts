import { keptKey, type Kept, kept, keptTypes } from "./kept.ts";
import type { Row, Session } from "./dialect.ts";

/** A row of the bookkeeping, without the connection. */
export type KeptRow = Readonly<Record<string, string | number | boolean | null>>;

/**
 * The rows of one connection in a table of the bookkeeping. They are kept in memory, since only the holder of the lease
 * changes them, and `flush` writes all changes by two statements: a sync of many tables writes many rows.
 */
export class KeptRows {
  readonly #table: Kept;
  readonly #connection: string;
  readonly #rows = new Map<string, KeptRow>();
  /** The keys of rows that the database has. */
  readonly #stored = new Set<string>();
  /** Rows that were set or deleted since the last flush, by key. A row that was deleted has its last values. */
  readonly #changed = new Map<string, KeptRow>();

  private constructor(table: Kept, connection: string, stored: readonly KeptRow[]) {
    this.#table = table;
    this.#connection = connection;
    for (const row of stored) {
      this.#stored.add(this.#keyOf(row));
      this.#rows.set(this.#keyOf(row), row);
    }
  }

  static async load(session: Session, table: Kept, connection: string): Promise<KeptRows> {
    const types = keptTypes(table);
    const columns = Object.keys(types).join(", ");
    const rows = await session.rows(
      `SELECT ${columns} FROM ${kept(session, table, connection)} WHERE connection = $1`,
      [connection],
    );
    return new KeptRows(
      table,
      connection,
      rows.map((row) => plain(row, types)),
    );
  }

  /** Takes over what another process has made of the row with this id. */
  async reload(session: Session, id: string): Promise<void> {
    const types = keptTypes(this.#table);
    const [row] = await session.rows(
      `SELECT ${Object.keys(types).join(", ")} FROM ${kept(session, this.#table, this.#connection)}
        WHERE connection = $1 AND id = $2`,
      [this.#connection, id],
    );
    if (row === undefined || this.#changed.has(id)) return;
    this.#stored.add(id);
    this.#rows.set(id, plain(row, types));
  }

  /** `key`: the values of the key's columns, in order. */
  get(...key: readonly string[]): KeptRow | null {
    return this.#rows.get(key.join("\n")) ?? null;
  }

  all(): readonly KeptRow[] {
    return [...this.#rows.values()];
  }

  set(row: KeptRow): void {
    this.#rows.set(this.#keyOf(row), row);
    this.#changed.set(this.#keyOf(row), row);
  }

  /** Deletes the rows that `matches` selects. */
  delete(matches: (row: KeptRow) => boolean): void {
    for (const [key, row] of this.#rows) {
      if (!matches(row)) continue;
      this.#rows.delete(key);
      this.#changed.set(key, row);
    }
  }

  /** Writes all changes. A row that was set and deleted since the last flush is never written. */
  async flush(session: Session): Promise<void> {
    const relation = kept(session, this.#table, this.#connection);
    const types = keptTypes(this.#table);
    const outdated = [...this.#changed].filter(([key]) => this.#stored.has(key)).map(([, row]) => row);
    const current = [...this.#changed.keys()].map((key) => this.#rows.get(key)).filter((row) => row !== undefined);
    if (outdated.length > 0) {
      const key = keptKey(this.#table);
      const keys = outdated.map((row) => Object.fromEntries(key.map((name) => [name, row[name]])));
      const given = session.dialect.records("$1", Object.fromEntries(key.map((name) => [name, types[name]!])));
      await session.run(
        `DELETE FROM ${relation} known USING ${given}
          WHERE known.connection = $2 AND ${key.map((name) => `known.${name} = given.${name}`).join(" AND ")}`,
        [JSON.stringify(keys), this.#connection],
      );
    }
    if (current.length > 0) {
      const columns = Object.keys(types).join(", ");
      await session.run(
        `INSERT INTO ${relation} (connection, ${columns}) SELECT $2, ${columns} FROM ${session.dialect.records("$1", types)}`,
        [JSON.stringify(current), this.#connection],
      );
    }
    for (const key of this.#changed.keys()) {
      if (this.#rows.has(key)) this.#stored.add(key);
      else this.#stored.delete(key);
    }
    this.#changed.clear();
  }

  #keyOf(row: KeptRow): string {
    return keptKey(this.#table)
      .map((name) => String(row[name]))
      .join("\n");
  }
}

/** What a writer keeps in memory of its connection's bookkeeping. */
export interface Ledger {
  readonly copies: KeptRows;
  readonly passes: KeptRows;
  readonly pass_tables: KeptRows;
  readonly progress: KeptRows;
  readonly held: KeptRows;
  readonly tables: KeptRows;
  readonly seals: KeptRows;
}

export async function loadLedger(session: Session, connection: string): Promise<Ledger> {
  const load = (table: Kept): Promise<KeptRows> => KeptRows.load(session, table, connection);
  return {
    copies: await load("copies"),
    passes: await load("passes"),
    pass_tables: await load("pass_tables"),
    progress: await load("progress"),
    held: await load("held"),
    tables: await load("tables"),
    seals: await load("seals"),
  };
}

/** The values of a row as JSON has them. PostgreSQL's come as text. */
function plain(row: Row, types: ReturnType<typeof keptTypes>): KeptRow {
  return Object.fromEntries(
    Object.entries(types).map(([name, type]) => {
      const value = row[name] ?? null;
      if (value === null || type === "text") return [name, value as string | null];
      return [name, type === "boolean" ? value === true || value === "t" : Number(value)];
    }),
  );
}
