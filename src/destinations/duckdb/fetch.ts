import duckdb from "@duckdb/node-bindings";
import type { DataChunk, Vector as NativeVector } from "@duckdb/node-bindings";
import type { Rows } from "../../protocol/rows.ts";
import { byteWidth } from "../../toolkit/types.ts";
import { RowsBuilder, type VectorBuilder } from "../../toolkit/vectors.ts";
import type { Fetched } from "../sql/dialect.ts";
import { temporary } from "../sql/names.ts";
import type { Feeding } from "./feeding.ts";
import { duckdbType, layoutType } from "./types.ts";

/** The number of rows in a page. */
const pageRows = 10_000;

/**
 * As in `Session.pages`. The rows are stored in a temporary table, because the next statement would end a result that
 * is not read to its end. Rows with a value that the returned type can't hold are left out.
 */
export async function* fetchPages(session: Feeding, query: string, columns: readonly Fetched[]): AsyncGenerator<Rows> {
  const waiting = temporary(session, "waiting");
  // A UUID is read as text, which is what copies of releases up to 0.1.0 have.
  const narrowed = columns.filter(
    ({ stored, type }) => type.kind !== "UUID" && duckdbType(stored) !== duckdbType(type),
  );
  const fit = narrowed.map(
    ({ sql, type }) => `(${sql} IS NULL OR TRY_CAST(${sql} AS ${duckdbType(type)}) IS NOT NULL)`,
  );
  await session.run(
    `CREATE TEMPORARY TABLE ${waiting} AS SELECT ${columns.map(({ sql }) => sql).join(", ")}, row_number() OVER () AS place
      FROM (${query}) WHERE ${fit.join(" AND ") || "TRUE"}`,
  );
  try {
    const values = columns.map(({ sql, type }) => `CAST(${sql} AS ${layoutType(type)})`).join(", ");
    for (let place = 0; ; place += pageRows) {
      const builder = new RowsBuilder(columns);
      await session.chunks(
        `SELECT ${values} FROM ${waiting} WHERE place > ${place} AND place <= ${place + pageRows}`,
        (chunk) => readChunk(chunk, builder),
      );
      if (builder.length === 0) return;
      yield builder.finish();
    }
  } finally {
    await session.run(`DROP TABLE IF EXISTS ${waiting}`);
  }
}

function readChunk(chunk: DataChunk, { builders }: RowsBuilder): void {
  const rows = duckdb.data_chunk_get_size(chunk);
  builders.forEach((builder, index) => readVector(duckdb.data_chunk_get_vector(chunk, index), builder, rows));
}

function readVector(vector: NativeVector, builder: VectorBuilder, rows: number): void {
  const width = byteWidth(builder.type);
  const bytes = width === null ? 16 : Math.max(1, width);
  const data = duckdb.vector_get_data(vector, rows * bytes);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const validity = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null;
  for (let row = 0; row < rows; row++) {
    const valid = validity === null || (validity[row >> 3]! & (1 << (row & 7))) !== 0;
    if (valid) readValue(data, view, row * bytes, builder);
    else builder.null();
  }
}

function readValue(data: Uint8Array, view: DataView, at: number, builder: VectorBuilder): void {
  const { type } = builder;
  switch (type.kind) {
    case "BOOLEAN":
      return builder.boolean(data[at] !== 0);
    case "SHORT":
      return builder.int16(view.getInt16(at, true));
    case "INT":
    case "NAIVE_DATE":
      return builder.int32(view.getInt32(at, true));
    case "FLOAT":
      return builder.float32(view.getFloat32(at, true));
    case "DOUBLE":
      return builder.float64(view.getFloat64(at, true));
    case "DECIMAL":
      if (type.precision > 18)
        return builder.decimal((view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true));
      return builder.int64(view.getInt32(at, true), view.getInt32(at + 4, true));
    case "BINARY":
    case "UUID":
    case "STRING":
    case "XML":
    case "JSON": {
      const length = view.getUint32(at, true);
      if (length <= 12) return builder.bytesOf(data, at + 4, at + 4 + length);
      const bytes = duckdb.get_data_from_pointer(data.buffer as ArrayBuffer, data.byteOffset + at + 8, length);
      return builder.bytesOf(bytes, 0, length);
    }
    default:
      return builder.int64(view.getInt32(at, true), view.getInt32(at + 4, true));
  }
}
