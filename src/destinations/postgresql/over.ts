import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { cell } from "../../toolkit/vectors.ts";
import { cellText } from "../../wire/postgres/cell-text.ts";
import { encodeRows, recycle } from "../../wire/postgres/copy-encode.ts";
import type { Row } from "../sql/dialect.ts";
import { staged } from "../sql/stage.ts";
import type { Copying } from "./copying.ts";

import { postgresType } from "./types.ts";

/** As in `Session.over`. Each column goes as an array of text, in a parameter, and the server casts it. */
export function overMemory(
  session: Copying,
  table: Table,
  columns: ReadonlyMap<string, Type>,
  batches: readonly Rows[],
  query: (source: string) => string,
): Promise<readonly Row[]> {
  for (const rows of batches) vet(session, table, rows);
  const names = [...columns.keys()];
  const list = [...columns].map(
    ([name, type], index) => `u.u${index}::${postgresType(type)} AS ${staged(session.dialect, name)}`,
  );
  const given = names.map((_, index) => `u${index}`).join(", ");
  const arrays = names.map((_, index) => `$${index + 1}::text[]`).join(", ");
  return session.rows(
    query(`(SELECT ${list.join(", ")} FROM unnest(${arrays}) AS u(${given}))`),
    names.map((name) => batches.flatMap((rows) => textsOf(rows, name))),
  );
}

/** A value that a COPY would refuse is refused here too. */
function vet({ nul }: Copying, { id }: Table, rows: Rows): void {
  const columns = rows.columns.map((name, index) => ({ name, vector: rows.values[index]! }));
  const tail = { bytes: new Uint8Array(), fields: 0, ordinal: null };
  for (const message of encodeRows(id, columns, rows.length, tail, nul)) recycle(message);
}

/** NULL for each row if the batch lacks the column. U+0000, which a COPY that is not refused leaves out, is left out. */
function textsOf({ columns, values, length }: Rows, name: string): readonly (string | null)[] {
  const vector = values[columns.indexOf(name)];
  return Array.from({ length }, (_, row) => {
    const value = vector === undefined ? null : cell(vector, row);
    return value === null ? null : cellText(vector!.type, value).replaceAll("\0", "");
  });
}
