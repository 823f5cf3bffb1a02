import type { Workplace } from "./program.ts";

/** Copies that syncs keep in one kind of destination, looked at by clients that are not ours. */
export interface Copies extends AsyncDisposable {
  /** What a connection says of its destination. */
  connection(name: string): { readonly destination: unknown; readonly schema?: string };
  /** Rows by which two copies of a table differ, system columns aside; `[]`: they are equal. */
  differences(table: string, name: string, fresh: string): Promise<readonly unknown[]>;
  /** Keys of a table that are there more than once. */
  doubled(table: string, name: string, key: string): Promise<readonly unknown[]>;
  /**
   * Looks at a copy over and over until it is disposed, which throws where a look showed a part of a commit. Absent:
   * nobody can look while a sync runs.
   */
  watch?(table: string, name: string): AsyncDisposable;
}

/** Each copy in a file of its own. */
export function duckdbCopies(place: Workplace): Copies {
  return {
    connection: (name) => ({ destination: `duckdb:${name}.duckdb` }),
    differences: (table, name, fresh) => place.differences(table, `${name}.duckdb`, `${fresh}.duckdb`),
    doubled: (table, name, key) =>
      place.query(
        `${name}.duckdb`,
        `SELECT ${key} FROM copy.public.${table} GROUP BY ${key} HAVING count(*) > 1 LIMIT 5`,
      ),
    async [Symbol.asyncDispose]() {},
  };
}
