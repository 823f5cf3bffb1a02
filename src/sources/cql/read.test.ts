import { describe, expect, test } from "vitest";
import type { Json } from "../../protocol/json.ts";
import { cell, RowsBuilder } from "../../toolkit/vectors.ts";
import { type FetchPage, readRange, type RangeReading } from "./read.ts";
import { CqlServerError, serverErrors } from "../../wire/cql/server-error.ts";

/** What lies at one token after the other, from 1 on: a row of so many bytes, or a tombstone. */
type Cell = number | "tombstone";

interface Server {
  readonly fetch: FetchPage;
  /** Rows of each page that was asked for. */
  readonly asked: number[];
  /** Bytes of each page that came. */
  readonly sent: number[];
}

/** Answers as a server does that gives up at so many tombstones; page states are the token of the last row. */
function serverOf(cells: readonly Cell[], mostTombstones = Infinity): Server {
  const [asked, sent]: [number[], number[]] = [[], []];
  return {
    asked,
    sent,
    fetch: async ({ tokens }, { rows, state }) => {
      asked.push(rows);
      const found: number[] = [];
      let [bytes, tombstones] = [0, 0];
      let at = state === null ? Number(tokens!.low) + 1 : Number(state) + 1;
      for (; at <= Number(tokens!.high) && at <= cells.length && found.length < rows; at++) {
        const here = cells[at - 1]!;
        if (here !== "tombstone") [bytes] = [bytes + here, found.push(at)];
        else if (++tombstones > mostTombstones) throw new CqlServerError(serverErrors.readFailure, "tombstones", 4);
      }
      sent.push(bytes);
      const isLast = found.length < rows;
      return {
        rows: found.length,
        bytes,
        next: isLast ? null : Buffer.from(String(at - 1)),
        *batches() {
          const builder = new RowsBuilder([{ name: "token", type: { kind: "INT" } }]);
          for (const token of found) builder.builders[0]!.int32(token);
          if (found.length > 0) yield builder.finish();
        },
        lastToken: () => (found.length === 0 ? null : BigInt(found.at(-1)!)),
      };
    },
  };
}

const rowSize = { bytes: null as number | null };
const signal = new AbortController().signal;
const reading: Omit<RangeReading, "fetch"> = {
  ...{ rowSize, mostPageRows: 20_000, batchBytes: 1 << 20, signal },
  singleRows: true,
};

/** Tokens of the rows that come, and the states of the checkpoints. */
async function read(
  cells: readonly Cell[],
  server: Server,
  state: Json = null,
  more: Partial<RangeReading> = {},
): Promise<{ readonly tokens: number[]; readonly states: Json[] }> {
  const [tokens, states]: [number[], Json[]] = [[], []];
  const work = { tokens: { low: 0n, high: BigInt(cells.length) }, window: null };
  const how = { ...reading, rowSize: { bytes: null }, ...more, fetch: server.fetch };
  for await (const step of readRange(work, state, how)) {
    if (step.kind === "checkpoint") states.push(step.state);
    else for (let row = 0; row < step.rows.length; row++) tokens.push(cell(step.rows.values[0]!, row) as number);
  }
  return { tokens, states };
}

const rowsOf = (count: number, bytes = 50): Cell[] => Array.from({ length: count }, () => bytes);
const graves = (count: number): Cell[] => Array.from({ length: count }, () => "tombstone");
const from = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe("reading a range", () => {
  test("goes on at tombstones right after a checkpoint that another process left", async () => {
    const cells = [...rowsOf(100), ...graves(5_000), ...rowsOf(10)];
    const { states } = await read(cells.slice(0, 101), serverOf(cells));
    const { tokens } = await read(cells, serverOf(cells, 1_000), withEnd(states[0]!, cells.length));
    expect(tokens).toEqual(from(5_101, 5_110));
  });

  test("goes on at tombstones after a checkpoint of a release that kept no token, by reading rows again", async () => {
    const cells = [...rowsOf(100), ...graves(5_000), ...rowsOf(10)];
    const state = { from: "0", to: String(cells.length), page: Buffer.from("100").toString("base64") };
    const { tokens } = await read(cells, serverOf(cells, 1_000), state);
    expect(tokens).toEqual([...from(1, 100), ...from(5_101, 5_110)]);
  });

  test("a partition of many rows that was read in part is read from its start", async () => {
    const cells = [...rowsOf(100), ...graves(5_000), ...rowsOf(10)];
    const { tokens } = await read(cells, serverOf(cells, 1_000), null, { singleRows: false });
    expect(tokens).toEqual([...from(1, 100), 100, ...from(5_101, 5_110)]);
  });

  test("passes a range that holds nothing but tombstones, however long", async () => {
    const cells = [...graves(200_000), ...rowsOf(10)];
    const { tokens } = await read(cells, serverOf(cells, 100));
    expect(tokens).toEqual(from(200_001, 200_010));
  });

  test("begins with a short page, whatever came last in another range", async () => {
    const cells = rowsOf(20_000, 100_000);
    const server = serverOf(cells);
    await read(cells, server, null, { rowSize: { bytes: 50 } });
    expect(Math.max(...server.sent)).toBeLessThan(16 << 20);
  });

  test("the longest rows decide for a while", async () => {
    const rowSize = { bytes: null };
    for (const bytes of [100_000, 50])
      await read(rowsOf(3_000, bytes), serverOf(rowsOf(3_000, bytes)), null, { rowSize });
    const large = rowsOf(3_000, 100_000);
    const server = serverOf([...rowsOf(2_000), ...large]);
    await read([...rowsOf(2_000), ...large], server, null, { rowSize });
    expect(Math.max(...server.sent)).toBeLessThan(64 << 20);
  });

  test("even rows are read by full pages after three short ones", async () => {
    const server = serverOf(rowsOf(50_000));
    await read(rowsOf(50_000), server);
    expect(server.asked).toEqual([100, 800, 6_400, 20_000, 20_000, 20_000]);
  });
});

/** The range of a state goes on further than the part that was read. */
function withEnd(state: Json, to: number): Json {
  return { ...(state as Record<string, Json>), to: String(to) };
}
