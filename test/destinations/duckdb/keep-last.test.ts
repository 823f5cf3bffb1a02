import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openFile } from "../../../src/destinations/duckdb/file.ts";
import { keepLast } from "../../../src/destinations/duckdb/keep-last.ts";
import { tableOf } from "../../conformance/destination/steps.ts";
import { DuckdbHarness } from "./harness.ts";

/** Keys of 100,000 rows by their place, `range`, and how many rows are not the last of their key. */
const orders = [
  ["in order", "range", 0],
  [
    "in blocks, as of splits that are read in turns",
    "((range // 1000) % 4) * 25000 + (range // 4000) * 1000 + range % 1000",
    0,
  ],
  ["at random", "(hash(range) >> 1)::BIGINT", 0],
  ["in two interleaved runs", "CASE WHEN range < 50000 THEN range * 2 ELSE (range - 50000) * 2 + 1 END", 0],
  ["with the last one twice", "CASE WHEN range = 99999 THEN 99998 ELSE range END", 1],
  ["with the first one again at the end", "CASE WHEN range = 99999 THEN 0 ELSE range END", 1],
  ["with the end of a run at the begin of the next", "CASE WHEN range >= 50000 THEN range - 1 ELSE range END", 1],
  ["each twice, side by side", "range // 2", 50_000],
  ["all again", "range % 50000", 50_000],
  ["with NULLs", "CASE WHEN range IN (7, 70000) THEN NULL ELSE range END", 1],
] as const;

describe("of rows with one key the last stays", () => {
  test.each(orders)("%s", async (_, key, others) => {
    await using harness = await DuckdbHarness.make();
    const { instance } = await openFile({ path: join(harness.folder, "rows.duckdb"), memory_limit: "256MB" }, true);
    const session = await instance.connect();
    try {
      for (const table of [
        tableOf("rows", { k: "LONG", place: "LONG" }, ["k"]),
        tableOf("rows", { k: "LONG", one: "INT", place: "LONG" }, ["one", "k"]),
      ]) {
        await session.run(
          `CREATE OR REPLACE TABLE rows AS SELECT ${key} AS k, 1 AS one, range AS place FROM range(100000)`,
        );
        const last = "SELECT sum(place) FROM (SELECT max(place) AS place FROM rows GROUP BY k)";
        const expected = await session.number(last);
        expect(await keepLast(session, "rows", table, (name) => name, false)).toBe(others);
        expect(await session.number("SELECT count(*) FROM rows")).toBe(100_000 - others);
        expect(await session.number("SELECT sum(place) FROM rows")).toBe(expected);
      }
    } finally {
      await session.close();
      await instance.leave();
    }
  });
});
