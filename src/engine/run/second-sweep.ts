import { waitAfter } from "../../net/retry.ts";
import type { Json } from "../../protocol/json.ts";
import type { Pass, Split } from "../../protocol/pass.ts";
import type { Rows, Vector } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { type Cell, cell, project, rowsBytes, rowsOf } from "../../toolkit/vectors.ts";
import { planPass } from "../plan/plan-pass.ts";
import type { SyncContext } from "./context.ts";
import { retryPolicy } from "./retrying-source.ts";

/** The keys of rows, as texts that are equal if the keys are, whatever types of ours hold them. */
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
 * Sweeps over a table once more and resolves to those of `wanted` that it sees. Nothing of it is stored: the sweep has a
 * read point of its own, because the first one's snapshot would show rows that were deleted since.
 */
export async function sweepAgain(
  wanted: ReadonlySet<string>,
  { scope }: Pass,
  table: Table,
  how: Reading,
  context: SyncContext,
): Promise<Rows> {
  const { connection, readers, statistics, throttle } = context;
  const { source, settings } = connection;
  const planned = await planPass(source, [table], "keys", new Map(), { scope, replace: false }, how.signal);
  const pass: Pass = { ...planned, opened: planned.asOf };
  const found: (readonly Cell[])[] = [];
  const left = new Set(wanted);
  const policy = retryPolicy(connection);
  const stop = new AbortController();
  const reading = { ...how, signal: AbortSignal.any([how.signal, stop.signal]) };

  const take = (rows: Rows): void => {
    const { values } = project(rows, table.key);
    for (const [row, text] of keyTexts(rows, table).entries())
      if (left.delete(text)) found.push(values.map((vector) => cell(vector, row)));
  };
  const readSplit = async (split: Split): Promise<void> => {
    let state: Json = null;
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const operation of source.read(pass, split, state, reading)) {
          if (operation.kind === "checkpoint") state = operation.state;
          if (operation.kind !== "keys") continue;
          statistics.get(table.id)!.addRead(operation.rows.length, rowsBytes(operation.rows));
          await throttle(operation.rows.length, reading.signal);
          take(operation.rows);
        }
        return;
      } catch (thrown) {
        await waitAfter(thrown, attempt, table.id, reading.signal, policy);
      }
    }
  };
  const splits = pass.splits.values();
  const readNext = async (): Promise<void> => {
    for (const split of splits) {
      const release = await readers.acquire(1, reading.signal);
      await readSplit(split).finally(release);
    }
  };
  const results = await Promise.allSettled(
    Array.from({ length: settings.parallel }, () =>
      readNext().catch((thrown: unknown) => {
        if (!stop.signal.aborted) stop.abort(thrown);
        throw thrown;
      }),
    ),
  );
  if (results.some(({ status }) => status === "rejected")) {
    how.signal.throwIfAborted();
    throw stop.signal.reason;
  }
  const columns = table.key.map((key) => table.columns.find(({ name }) => name === key)!);
  return rowsOf(columns, found);
}
