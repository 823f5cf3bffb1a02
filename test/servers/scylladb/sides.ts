import cassandra from "cassandra-driver";
import type { CassandraServer } from "../cassandra.ts";

/** Values of a row as text, by column. */
export type Texts = Readonly<Record<string, string | null>>;

/** A value, as this and a copy write it; collections as JSON. */
function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return `[${value.map(String).sort().join(",")}]`;
  if (value instanceof Map)
    return `[${[...value]
      .map(([key, of]) => `${key}=${of}`)
      .sort()
      .join(",")}]`;
  if (value instanceof Set) return `[${[...value].map(String).sort().join(",")}]`;
  if (typeof value === "string" && /^[[{]/.test(value)) {
    const parsed = JSON.parse(value) as unknown[] | Record<string, unknown>;
    return textOf(Array.isArray(parsed) ? parsed : new Map(Object.entries(parsed)));
  }
  return String(value);
}

/** The rows of a table, by the vendor's driver. `key`: a clustering column without a value is 0 in a copy. */
export async function rowsOfScylla(server: CassandraServer, table: string, key: readonly string[]): Promise<Texts[]> {
  const rows: cassandra.types.Row[] = await server.run(`SELECT * FROM ${table}`);
  return sorted(
    rows.map((row) =>
      Object.fromEntries(row.keys().map((name) => [name, textOf(row.get(name)) ?? (key.includes(name) ? "0" : null)])),
    ),
  );
}

function sorted(rows: readonly Texts[]): Texts[] {
  const text = (row: Texts): string => JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
  return [...rows].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

/** Rows of a copy, without columns of ours. */
export function withoutOurs(rows: readonly Readonly<Record<string, unknown>>[]): Texts[] {
  return sorted(
    rows.map((row) =>
      Object.fromEntries(
        Object.entries(row)
          .filter(([name]) => !name.startsWith("_headwaters"))
          .map(([name, value]) => [name, textOf(value)]),
      ),
    ),
  );
}
