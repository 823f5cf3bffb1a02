import type { Operation } from "../../../protocol/operation.ts";
import type { Json } from "../../../protocol/json.ts";
import type { Reading } from "../../../protocol/source.ts";
import type { Table } from "../../../protocol/table.ts";
import { escapeIdentifier } from "../../../wire/postgres/literals.ts";
import { relationOf } from "../catalog/catalog.ts";
import { columnOf } from "../catalog/shape.ts";
import { keysOfStatement } from "../lookup.ts";
import { copyRows, cursorRows, type SplitReader } from "../read.ts";
import { endReading, frameOf } from "../snapshot/snapshots.ts";
import { type Batch, Result } from "../statement/result.ts";
import { literal } from "../statement/select.ts";

/**
 * Looks up the keys that changed; `state`: how many were looked up before. Existing rows are written; the rows of the
 * other keys are deleted. Rows with keys that the server considers equal (`1.0` and `1.00`) come after such a delete.
 */
export async function* readStream(
  reader: Pick<SplitReader, "pool" | "shape" | "way" | "fetchRows">,
  table: Table,
  keys: readonly (readonly string[])[],
  state: Json,
  how: Reading,
): AsyncGenerator<Operation, void> {
  const { pool, shape } = reader;
  const { begin } = frameOf({ mode: "none" }, null);
  const keyColumns = table.columns.filter(({ name }) => table.key.includes(name));
  for (let start = Number(state ?? 0); start < keys.length; start += keysOfStatement) {
    const some = keys.slice(start, start + keysOfStatement);
    const sql = lookupSql(reader, table, some);
    const fast = reader.way === "copy" && how.path === "fast";
    const connection = await pool.acquire(how.signal);
    const batches = (text: string, result: Result): AsyncGenerator<Batch> =>
      fast
        ? copyRows(connection, text, shape, result, how)
        : cursorRows(connection, text, shape, result, how, reader.fetchRows);
    try {
      await connection.simple(begin, how.signal);
      const gone = new Result(shape, keyColumns, []);
      for await (const { rows } of batches(`SELECT ${gone.expressions.join(", ")} ${sql.gone}`, gone))
        yield { kind: "delete", table: table.id, rows };
      const found = new Result(shape, table.columns, []);
      for await (const { rows } of batches(`SELECT ${found.expressions.join(", ")} ${sql.found}`, found))
        yield { kind: "upsert", table: table.id, rows };
      await connection.simple(endReading, how.signal);
    } finally {
      await pool.release(connection);
    }
    yield { kind: "checkpoint", state: start + some.length };
  }
}

/** The clauses after the columns: for the rows with these keys, and for the keys without a row. */
function lookupSql(
  { shape }: Pick<SplitReader, "shape">,
  { key }: Table,
  keys: readonly (readonly string[])[],
): { readonly found: string; readonly gone: string } {
  const own = escapeIdentifier(shape.catalog.name);
  const given = escapeIdentifier(shape.catalog.name === "changed" ? "changed_" : "changed");
  const columns = key.map((name) => ({ name: escapeIdentifier(name), sql: columnOf(shape, name).sql }));
  const names = columns.map(({ name }) => name).join(", ");
  const rows = keys.map((values) => `(${values.map((text, index) => literal(text, columns[index]!.sql)).join(", ")})`);
  const values = `(VALUES ${rows.join(", ")})`;
  // Equal values may be written differently, and are then different keys in the copy.
  const same = columns.flatMap(({ name }) => [
    `${own}.${name} = ${given}.${name}`,
    `${own}.${name}::text COLLATE "C" = ${given}.${name}::text`,
  ]);
  const filter = shape.filter === null ? "" : ` AND ${shape.filter}`;
  const relation = relationOf(shape, null);
  return {
    found: `FROM ${relation} WHERE (${names}) IN ${values}${filter}`,
    gone: `FROM ${values} AS ${given} (${names}) WHERE NOT EXISTS (SELECT FROM ${relation} WHERE ${same.join(" AND ")}${filter})`,
  };
}
