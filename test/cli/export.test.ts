import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, test } from "vitest";
import { fill, sync, things, upsert } from "../conformance/destination/steps.ts";
import { DuckdbHarness } from "../destinations/duckdb/harness.ts";
import { type CliRun, runCli } from "./run-cli.ts";

/** A copy with two tables, and the file with its connection. */
async function copied(): Promise<DuckdbHarness> {
  const harness = await DuckdbHarness.make();
  const given = { connection: "iot", schema: "s" };
  await fill(harness, things, [[1n, "one", 1]], given);
  const odd = { ...things, id: "a/b: c%." };
  await fill(harness, odd, [[2n, "two", 1]], given);
  await sync(harness, { tables: [things], kind: "window", sync: 2, given }, [upsert(things, [3n, "three", 2])]);
  const source = { type: "yugabytedb", host: "localhost", user: "reader", password: "Geheim-123", database: "iot" };
  const connections = { iot: { source, destination: { type: "duckdb", path: "copy.duckdb" }, schema: "s" } };
  await writeFile(join(harness.folder, "headwaters.yaml"), JSON.stringify({ connections }));
  return harness;
}

function exported({ folder }: DuckdbHarness, ...flags: readonly string[]): Promise<CliRun> {
  return runCli(["export", "parquet", ...flags], { folder });
}

describe("headwaters export parquet", () => {
  test("writes a file for each table, of whatever name, and says so", async () => {
    await using harness = await copied();
    const run = await exported(harness, "iot", "--to", "out/files");
    expect([run.code, run.error]).toEqual([0, ""]);
    expect(run.out).toContain("iot: things: 2 rows");
    expect(run.out).toContain("iot: 2 tables written");
    const folder = join(harness.folder, "out", "files");
    expect(await readdir(folder)).toEqual(["iot"]);
    expect((await readdir(join(folder, "iot"))).sort()).toEqual(["a%2Fb%3A c%25%2E.parquet", "things.parquet"]);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const read = await connection.runAndReadAll(`FROM '${folder}/iot/things.parquet' ORDER BY id`);
    expect(read.getRowObjectsJson()).toEqual([
      { id: "1", name: "one", at: 1 },
      { id: "3", name: "three", at: 2 },
    ]);
    connection.closeSync();
    instance.closeSync();
  });

  test("replaces an older export only where that is asked for, and then wholly", async () => {
    await using harness = await copied();
    await exported(harness, "--to", "out");
    const again = await exported(harness, "--to", "out");
    expect([again.code, again.error]).toEqual([2, expect.stringContaining("--replace")]);
    const run = await exported(harness, "--to", "out", "--tables", "things", "--replace", "--json");
    expect(run.code).toBe(0);
    const told = JSON.parse(run.out) as Record<string, unknown>;
    const file = join(harness.folder, "out", "iot", "things.parquet");
    expect(told).toMatchObject({ connection: "iot", kind: "exported", table: "things", rows: 2, file });
    expect(await readdir(join(harness.folder, "out"))).toEqual(["iot"]);
    expect(await readdir(join(harness.folder, "out", "iot"))).toEqual(["things.parquet"]);
  });

  test("that fails leaves nothing, and what was there before", async () => {
    await using harness = await copied();
    await exported(harness, "--to", "out");
    // The second of the two can't be read any more: the file of the first is written by then.
    await harness.tamper(`DROP TABLE s.things`);
    const run = await exported(harness, "--to", "out", "--replace");
    expect([run.code, run.error]).toEqual([2, expect.stringContaining("things")]);
    expect(await readdir(join(harness.folder, "out"))).toEqual(["iot"]);
    expect(await readdir(join(harness.folder, "out", "iot"))).toHaveLength(2);
    const unknown = await exported(harness, "--to", "other", "--tables", "thing");
    expect([unknown.code, unknown.error]).toEqual([2, expect.stringContaining("Did you mean things?")]);
    expect(await readdir(join(harness.folder, "other"))).toEqual([]);
  });

  test("asks for what is missing", async () => {
    await using harness = await copied();
    expect((await exported(harness)).error).toContain("--to <folder>");
    const format = await runCli(["export", "csv", "--to", "out"], { folder: harness.folder });
    expect([format.code, format.error]).toEqual([2, expect.stringContaining("parquet")]);
  });
});
