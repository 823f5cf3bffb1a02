import { spawn } from "node:child_process";
import { once } from "node:events";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { type Connection, defaultSettings } from "../../../src/engine/connection.ts";
import { sync } from "../../../src/engine/run/sync.ts";
import { context, tableOf } from "../../conformance/destination/steps.ts";
import { RowsSource } from "../../conformance/rows-source.ts";
import { DuckdbHarness } from "./harness.ts";

const signal = new AbortController().signal;

function small(): RowsSource {
  const source = new RowsSource(1);
  const types = { id: "INT", v: "INT" };
  const rows = new Map(Array.from({ length: 5 }, (_, id) => [id, [id, id]] as const));
  source.tables.set("small", { table: tableOf("small", types, ["id"], { version: null }), types, rows });
  return source;
}

/** Another program commits 100 MB of long rows, and is killed: they are in the log alone. */
async function leaveLog(path: string): Promise<void> {
  const program = `const { DuckDBInstance } = require("@duckdb/node-api");
    (async () => {
      const connection = await (await DuckDBInstance.create(${JSON.stringify(path)})).connect();
      await connection.run("SET checkpoint_threshold = '1TB'");
      await connection.run("CREATE TABLE main.long AS SELECT i AS id, repeat(md5(i::VARCHAR), 1280) AS body FROM range(2500) r(i)");
      process.kill(process.pid, "SIGKILL");
    })();`;
  const child = spawn(process.execPath, ["-e", program], { cwd: import.meta.dirname, stdio: "inherit" });
  expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
}

test(
  "a log that memory_limit is too low for is reported, and a higher limit repairs the file (case 14)",
  { timeout: 240_000 },
  async () => {
    await using harness = await DuckdbHarness.make();
    const warnings: string[] = [];
    const log = { ...context().log, warn: (message: string) => void warnings.push(message) };
    const once = async (memory_limit: string, source: RowsSource) => {
      await using warehouse = await harness.open({ log }, { create: true }, { memory_limit });
      const connection: Connection = {
        ...{ name: "c", source, warehouse, scope: "s", selection: { include: [], exclude: [] }, log },
        capabilities: { passes: ["full"], independentPath: false, schema: "declared" },
        settings: { ...defaultSettings, attempts: 1 },
      };
      return await sync(connection, { signal, tables: [] }, () => {});
    };
    await once("60MB", small());
    await leaveLog(harness.path);
    const source = small();
    source.tables.get("small")!.rows.set(9, [9, 9]);
    // DuckDB ends itself where it can't write its log into the file after a commit.
    await expect(once("60MB", source)).rejects.toMatchObject({
      code: "DESTINATION_UNUSABLE",
      message: expect.stringContaining("memory_limit") as string,
      hint: expect.stringContaining("Raise memory_limit") as string,
    });
    expect(warnings).toEqual([expect.stringContaining("could not be checkpointed: memory_limit")]);
    const repaired = await once("400MB", source);
    expect(repaired.tables).toMatchObject([{ table: "small", outcome: "whole" }]);
    const instance = await DuckDBInstance.create(harness.path);
    const connection = await instance.connect();
    const found = await connection.runAndReadAll(
      "SELECT (SELECT count(*) FROM main.long WHERE strlen(body) = 40960)::INT AS long, (SELECT count(*) FROM s.small)::INT AS small",
    );
    expect(found.getRowObjects()).toEqual([{ long: 2_500, small: 6 }]);
    connection.closeSync();
    instance.closeSync();
  },
);
