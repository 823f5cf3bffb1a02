import { createHash } from "node:crypto";
import type { Operation } from "../../../protocol/operation.ts";
import type { Table } from "../../../protocol/table.ts";
import { RespError } from "../../../wire/resp/errors.ts";
import type { ReplyValue } from "../../../wire/resp/replies.ts";
import { type Cell, rowsOf } from "../../../toolkit/vectors.ts";
import { type EntryKind, fieldsJson, numberOf } from "./entries.ts";
import { isGone } from "../errors.ts";
import { microsecondsOf } from "../values/moments.ts";
import type { ReadContext } from "../read-context.ts";
import { Scanner } from "../scan/scan.ts";
import { cursorJson, type ScanWork } from "../work.ts";
import { textOf } from "../values/text.ts";
import { versionColumn } from "../values/version-column.ts";

const keysAtOnce = 16;
const pageEntries = 1_000;

/** Reads series and streams backwards from their ends, as JavaScript values, for `verify` to compare with. */
export async function* readEntriesIndependently(
  context: ReadContext,
  table: Table,
  kind: EntryKind,
  work: ScanWork,
  cursor: string,
): AsyncGenerator<Operation> {
  const { pool, signal, configuration } = context;
  const connection = await pool.take(signal);
  try {
    const scanner = new Scanner(connection, work, cursor, configuration.batch_size);
    for (let batch = await scanner.next(keysAtOnce); batch !== null; batch = await scanner.next(keysAtOnce)) {
      for (let index = 0; index < batch.count; index++) {
        const key = Buffer.from(batch.key(index));
        for (let end: string | null = "+"; end !== null;) {
          const entries: ReplyValue = await connection
            .call(
              kind.backwards,
              key,
              ...(kind.kind === "streams" ? [end, "-"] : ["-", end]),
              "COUNT",
              String(pageEntries),
            )
            .catch((thrown: unknown) => {
              if (thrown instanceof RespError && isGone(thrown)) return [];
              throw thrown;
            });
          const cells: Record<string, Cell>[] = (entries as readonly (readonly ReplyValue[])[]).map((entry) =>
            cellsOf(kind, key, entry),
          );
          if (cells.length > 0) {
            const rows = rowsOf(
              table.columns,
              cells.map((row) => table.columns.map(({ name }) => row[name] ?? null)),
            );
            yield { kind: "upsert", table: table.id, rows };
          }
          end = cells.length < pageEntries ? null : before(kind, cells.at(-1)!);
        }
      }
      if (batch.cursor !== null) yield { kind: "checkpoint", state: cursorJson(batch.cursor) };
    }
  } finally {
    pool.give(connection);
  }
}

function cellsOf(kind: EntryKind, key: Buffer, [position, content]: readonly ReplyValue[]): Record<string, Cell> {
  if (kind.kind === "time series") {
    return { key: textOf(key), timestamp: BigInt(Number(position)) * 1_000n, value: numberOf(String(content)) };
  }
  const id = String(position);
  const pieces = content as readonly Buffer[];
  const fields = pieces.flatMap((piece, at): [string, string][] =>
    at % 2 === 0 ? [[textOf(piece), textOf(pieces[at + 1]!)]] : [],
  );
  const json = fieldsJson(fields);
  return {
    key: textOf(key),
    id,
    timestamp: microsecondsOf(BigInt(id.split("-")[0]!)),
    fields: json,
    [versionColumn.name]: createHash("md5").update(`stream\0${json}`).digest(),
  };
}

/** The end of the range before a row; `null`: nothing is before it. */
function before(kind: EntryKind, row: Record<string, Cell>): string | null {
  if (kind.kind === "time series") {
    const milliseconds = (row["timestamp"] as bigint) / 1_000n;
    return milliseconds === 0n ? null : String(milliseconds - 1n);
  }
  const [milliseconds, sequence] = (row["id"] as string).split("-") as [string, string];
  if (sequence !== "0") return `${milliseconds}-${BigInt(sequence) - 1n}`;
  // Without a sequence, the end of a range includes the whole millisecond.
  return milliseconds === "0" ? null : String(BigInt(milliseconds) - 1n);
}
