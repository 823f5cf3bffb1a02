import { appendFile, cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterEach, beforeEach, expect, test } from "vitest";
import { filledShop, order } from "../../examples/orders-api/service.ts";
import { runCli } from "../cli/run-cli.ts";

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwaters-examples-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs an example as its page says; resolves to rows read by table. */
async function run(example: string, configuration: unknown): Promise<Readonly<Record<string, number>>> {
  await writeFile(join(folder, "configuration.json"), JSON.stringify(configuration));
  const source = join(examples, example, "source.ts");
  const { code, out, error } = await runCli(["run", source, "--configuration", "configuration.json", "--json"], {
    folder,
  });
  expect(code, error).toBe(0);
  const { run: record } = JSON.parse(out.trim().split("\n").at(-1)!) as {
    run: { tables: readonly { table: string; rowsRead: number }[] };
  };
  return Object.fromEntries(record.tables.map(({ table, rowsRead }) => [table, rowsRead]));
}

async function query(sql: string): Promise<readonly Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(join(folder, "warehouse.duckdb"), { access_mode: "READ_ONLY" });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjects();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

test("orders-api: pages, a busy service, totals that no JavaScript number holds; then only what changed", async () => {
  await using shop = await filledShop();
  const configuration = { url: shop.url, token: shop.token, pageSize: "50" };
  expect(await run("orders-api", configuration)).toMatchObject({ customers: 5, orders: 230 });
  expect(shop.answered.get(429)).toBeGreaterThan(0);
  const totals =
    "SELECT sum(total)::VARCHAR AS total, count(*)::INT AS orders FROM shop.orders WHERE NOT _headwaters_deleted";
  expect(await query(totals)).toEqual([{ total: "207165582859043058.65", orders: 230 }]);
  const lines = `SELECT count(*)::INT AS n, count(*) FILTER (order_id = 8)::INT AS of_8, count(*) FILTER (order_id = 7)::INT AS of_7
    FROM shop.order_lines WHERE NOT _headwaters_deleted`;
  expect(await query(lines)).toEqual([{ n: 461, of_8: 3, of_7: 2 }]);
  shop.cancel(7);
  shop.place({ id: 231, customer: "c1", total_cents: "5", placed_at: "2026-03-01T00:00:00Z", lines: [] });
  shop.place({ ...order(8), lines: [{ sku: "sku-1", quantity: 1 }] });
  expect(await run("orders-api", configuration)).toMatchObject({ customers: 0, orders: 3 });
  expect(shop.answered.get(304)).toBe(1);
  expect(await query("SELECT count(*)::INT AS n FROM shop.orders WHERE NOT _headwaters_deleted")).toEqual([{ n: 230 }]);
  // Two lines of the order that was cancelled, and two of the three of another.
  expect(await query(lines)).toEqual([{ n: 457, of_8: 1, of_7: 0 }]);
});

test("log-files: whole at first, then the line that was appended", async () => {
  await cp(join(examples, "log-files", "data"), join(folder, "data"), { recursive: true });
  expect(await run("log-files", { folder: "data" })).toEqual({ events: 3, hosts: 2 });
  await appendFile(join(folder, "data", "web.ndjson"), '{"at":"2026-01-01T12:00:00Z","level":3,"text":"one more"}\n');
  expect(await run("log-files", { folder: "data" })).toEqual({ events: 1, hosts: 0 });
  expect(
    await query('SELECT line::INT AS line, "text", milliseconds FROM logs.events WHERE line <> 3 ORDER BY line'),
  ).toEqual([
    { line: 1, text: "started", milliseconds: null },
    { line: 2, text: "GET /", milliseconds: 12.5 },
    { line: 4, text: "one more", milliseconds: null },
  ]);
});
