import type { Pass } from "../../protocol/pass.ts";
import type { Rows, Vector } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { type Cell, cell, project, rowsBytes, rowsOf } from "../../toolkit/vectors.ts";
import { planPass } from "../plan/plan-pass.ts";
import type { SyncContext } from "./context.ts";
import { readAside } from "./read-aside.ts";

/** The keys of rows, as texts that are equal if the keys are, in whichever types they are held. */
export function keyTexts(rows: Rows, table: Table): string[] {
  const { values, length } = project(rows, table.key);
  return Array.from({ length }, (_, row) => JSON.stringify(values.map((vector) => cellText(vector, row))));
}

function cellText(vector: Vector, row: number): string | null {
  const value = cell(vector, row);
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  const { type } = vector;
  if (type.kind !== "DECIMAL" || type.scale === 0) return String(value);
  const [digits, sign] = [String(value).replace("-", ""), String(value).startsWith("-") ? "-" : ""];
  const padded = digits.padStart(type.scale + 1, "0");
  return `${sign}${padded.slice(0, -type.scale)}.${padded.slice(-type.scale)}`.replace(/\.?0+$/, "");
}

/**
 * Sweeps over a table once more and resolves to those of `wanted` that it sees. The sweep is not stored. It has its
 * own read point, because the first one's snapshot would show rows that were deleted since.
 */
export async function sweepAgain(
  wanted: ReadonlySet<string>,
  { scope }: Pass,
  table: Table,
  how: Reading,
  context: SyncContext,
): Promise<Rows> {
  const { connection, readers, statistics, throttle } = context;
  const planned = await planPass(connection.source, [table], "keys", new Map(), { scope, replace: false }, how.signal);
  const found: (readonly Cell[])[] = [];
  const left = new Set(wanted);
  await readAside({ ...planned, opened: planned.asOf }, connection, how, readers, () => async (operation, signal) => {
    if (operation?.kind !== "keys") return;
    const { rows } = operation;
    statistics.get(table.id)!.addRead(rows.length, rowsBytes(rows));
    await throttle(rows.length, signal);
    const { values } = project(rows, table.key);
    for (const [row, text] of keyTexts(rows, table).entries())
      if (left.delete(text)) found.push(values.map((vector) => cell(vector, row)));
  });
  const columns = table.key.map((key) => table.columns.find(({ name }) => name === key)!);
  return rowsOf(columns, found);
}
