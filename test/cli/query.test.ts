import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliRun, runCli } from "./run-cli.ts";
import { Screen } from "./screen.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwaters-query-"));
  const source = { type: "postgresql", host: "h", database: "d", user: "u", password: "${NOT_SET}", schema: "s" };
  const connection = { source, destination: "duckdb:w.duckdb" };
  await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections: { c: connection } }));
  const instance = await DuckDBInstance.create(join(folder, "w.duckdb"));
  const client = await instance.connect();
  await client.run(
    `CREATE SCHEMA s; CREATE TABLE s.devices AS
      SELECT i AS id, 'line 1\nline 2' AS name, i::DECIMAL(22, 2) AS price, NULL AS gone, {'a': [i]} AS more
      FROM range(9223372036854775803, 9223372036854775806) AS t(i)`,
  );
  client.closeSync();
  instance.closeSync();
});

afterAll(() => rm(folder, { recursive: true }));

function query(...argv: readonly string[]): Promise<CliRun> {
  return runCli(["query", ...argv], { folder });
}

test("shows a table; names need no schema, and the source no secret", async () => {
  expect(await query("SELECT id, name, gone, more FROM devices ORDER BY id LIMIT 1")).toEqual({
    code: 0,
    error: "",
    out: [
      "                 id  name           gone  more",
      '9223372036854775803  line 1⏎line 2  NULL  {"a":["9223372036854775803"]}',
      "1 row",
      "",
    ].join("\n"),
  });
});

test("shows no more rows than the limit, and says that more exist", async () => {
  const { out } = await query("FROM devices", "c", "--limit", "2");
  expect(out).toContain("the first 2 rows; --limit shows more");
  expect(await query("FROM devices", "--limit", "0")).toMatchObject({ code: 2 });
});

test("gives a program each row as JSON, whole", async () => {
  const { out } = await query("SELECT id, price FROM s.devices ORDER BY id", "--json");
  expect(
    out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual(
    ["3", "4", "5"].map((digit) => ({ id: `922337203685477580${digit}`, price: `922337203685477580${digit}.00` })),
  );
});

test("fits the terminal", async () => {
  const screen = new Screen(40);
  await runCli(["query", "SELECT name, more FROM devices"], { folder, stdout: screen });
  expect(
    screen.writes
      .join("")
      .split("\n")
      .filter((line) => line.length > 40),
  ).toEqual([]);
});

test.each([
  ["a change", "DELETE FROM devices"],
  ["a change of the file's schema", "CREATE TABLE s.other (id INT)"],
  ["a file that would be written", "COPY devices TO 'devices.csv'"],
  ["another database", "ATTACH 'other.duckdb'"],
  ["several statements", "SELECT 1; DROP TABLE devices"],
  ["a setting", "SET threads = 1"],
])("refuses %s", async (_, sql) => {
  const before = await readdir(folder);
  expect(await query(sql)).toMatchObject({ code: 2, error: expect.stringContaining("query takes one SELECT") });
  expect(await readdir(folder)).toEqual(before);
  expect((await query("SELECT count(*) AS n FROM devices")).out).toContain("\n3\n");
});

test("says what is wrong with a query", async () => {
  const { code, error } = await query("SELECT nme FROM devices");
  expect(code).toBe(2);
  expect(error).toContain('the query failed: Binder Error: Referenced column "nme" not found');
});

test("without a copy it says so", async () => {
  expect(
    await query("SELECT 1", "--source", "postgresql://u@h/d", "--destination", "duckdb:none.duckdb"),
  ).toMatchObject({
    code: 2,
    error: expect.stringContaining("DESTINATION_EMPTY"),
  });
});
