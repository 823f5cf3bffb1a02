import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import { BinaryRows } from "../../wire/postgres/copy-binary.ts";
import type { Type } from "../../protocol/types.ts";
import { RowsBuilder } from "../../toolkit/vectors.ts";
import type { Fetched } from "../sql/dialect.ts";
import { temporary } from "../sql/names.ts";
import type { Copying } from "./copying.ts";
import { codecOf, postgresType } from "./types.ts";

/** The number of rows in a page. */
const pageRows = 10_000;

/** As in `Session.pages`. The rows are stored in a temporary table when the iteration begins. */
export async function* fetchPages(
  session: Copying,
  table: Table,
  query: string,
  columns: readonly Fetched[],
): AsyncGenerator<Rows> {
  const pages = temporary(session, "pages");
  const list = columns.map(({ sql }) => sql).join(", ");
  await session.run(
    `CREATE TEMPORARY TABLE ${pages} AS SELECT row_number() OVER () AS place, ${list} FROM (${query}) AS found`,
  );
  await session.run(`CREATE UNIQUE INDEX ON ${pages} (place)`);
  let failed = false;
  try {
    const total = await session.number(`SELECT count(*) FROM ${pages}`);
    for (let from = 0; from < total; from += pageRows) {
      const builder = new RowsBuilder(columns);
      const results = columns.map(({ name, type }, index) => ({
        name,
        codec: codecOf[readAs(type).kind],
        builder: builder.builders[index]!,
      }));
      const decoder = new BinaryRows(table.id, results);
      const cast = columns.map(({ sql, type }) => `${sql}::${postgresType(readAs(type))}`).join(", ");
      const where = `place > ${from} AND place <= ${from + pageRows} ORDER BY place`;
      await session.receive(
        `COPY (SELECT ${cast} FROM ${pages} WHERE ${where}) TO STDOUT (FORMAT binary)`,
        (messages) => decoder.decode(messages, 0, messages.length),
      );
      decoder.end();
      yield builder.finish();
    }
  } catch (thrown) {
    failed = true;
    throw thrown;
  } finally {
    // A failed transaction accepts no more statements. Its rollback drops the table.
    if (!failed) await session.run(`DROP TABLE IF EXISTS ${pages}`);
  }
}

/** A UUID is text in memory, and may be in the copy too: releases up to 0.1.0 stored it so. */
function readAs(type: Type): Type {
  return type.kind === "UUID" ? { kind: "STRING" } : type;
}
