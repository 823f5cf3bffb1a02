import type { Rows } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import type { Kind } from "../../protocol/types.ts";
import { cellText } from "../../wire/postgres/cell-text.ts";
import { escapeIdentifier } from "../../wire/postgres/literals.ts";
import { cell, project } from "../../toolkit/vectors.ts";
import { copyRows, cursorRows, type SplitReader } from "./read.ts";
import { endReading } from "./snapshot/snapshots.ts";
import { Result } from "./statement/result.ts";
import { literal } from "./statement/select.ts";
import { relationOf } from "./catalog/catalog.ts";
import { columnOf } from "./catalog/shape.ts";

/** The type to compare a value as, if its text does not lead back to its native type. */
const comparedAs: Readonly<Record<Kind, string>> = {
  BOOLEAN: "bool",
  SHORT: "int2",
  INT: "int4",
  LONG: "int8",
  DECIMAL: "numeric",
  FLOAT: "float4",
  DOUBLE: "float8",
  NAIVE_DATE: "date",
  NAIVE_TIME: "time",
  NAIVE_DATETIME: "timestamp",
  UTC_DATETIME: "timestamptz",
  BINARY: "bytea",
  UUID: "uuid",
  XML: "text",
  STRING: "text",
  JSON: "text",
};

/** Keys per statement: about as many as fit a message of some 50 KB. */
export const keysOfStatement = 1_000;

/** Rows by key, as they are now at the leaders. Keys that do not exist are left out; a key with NULL never exists. */
export async function* lookupRows(
  reader: Pick<SplitReader, "pool" | "shape" | "way" | "fetchRows">,
  table: Table,
  keys: Rows,
  how: Reading,
): AsyncGenerator<Rows, void> {
  const { pool, shape } = reader;
  const terms = table.key.map((name) => {
    const { mapping, sql } = columnOf(shape, name);
    const quoted = escapeIdentifier(name);
    if (mapping.reversible) return { expression: quoted, sql };
    const compared = comparedAs[mapping.type.kind];
    return { expression: `(${mapping.select(quoted)})::${compared}`, sql: compared };
  });
  const left = terms.map((term) => term.expression).join(", ");
  const vectors = project(keys, table.key).values;
  for (let start = 0; start < keys.length; start += keysOfStatement) {
    const lists: string[] = [];
    for (let row = start; row < Math.min(keys.length, start + keysOfStatement); row++) {
      const cells = vectors.map((vector) => cell(vector, row));
      if (cells.includes(null)) continue;
      const values = cells.map((value, index) => literal(cellText(vectors[index]!.type, value!), terms[index]!.sql));
      lists.push(`(${values.join(", ")})`);
    }
    if (lists.length === 0) continue;
    const result = new Result(shape, table.columns, []);
    const filter = shape.filter === null ? "" : ` AND ${shape.filter}`;
    const sql = `SELECT ${result.expressions.join(", ")} FROM ${relationOf(shape, null)} WHERE (${left}) IN (VALUES ${lists.join(", ")})${filter}`;
    const connection = await pool.acquire(how.signal);
    try {
      await connection.simple("BEGIN READ ONLY", how.signal);
      const fast = reader.way === "copy" && how.path === "fast";
      const batches = fast
        ? copyRows(connection, sql, shape, result, how)
        : cursorRows(connection, sql, shape, result, how, reader.fetchRows);
      for await (const batch of batches) yield batch.rows;
      await connection.simple(endReading, how.signal);
    } finally {
      await pool.release(connection);
    }
  }
}
