import { expect, test } from "vitest";
import { definition as ducklake } from "../../src/destinations/ducklake/index.ts";
import { definition as postgresql } from "../../src/destinations/postgresql/index.ts";
import type { QueryResult } from "../../src/protocol/query.ts";
import { duckdbExtensions } from "../servers/duckdb-extensions.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { LakeHarness } from "./ducklake/harness.ts";
import { PostgresqlHarness } from "./postgresql/harness.ts";

const how = { schema: "q", limit: 2, signal: new AbortController().signal };

await describeWith(startPostgresql, "a query in PostgreSQL", (server) => {
  test("reads the copies and writes nothing", async () => {
    await using harness = new PostgresqlHarness(server);
    const query = (sql: string): Promise<QueryResult> => postgresql.query(harness.settings(), { ...how, sql });
    await harness.tamper(
      "CREATE SCHEMA q; CREATE TABLE q.devices AS SELECT i AS id, i::int8 AS big, true AS ok, NULL::text AS gone FROM generate_series(1, 3) AS i",
    );
    try {
      expect(await query("SELECT * FROM devices ORDER BY id; ")).toEqual({
        columns: [
          { name: "id", isNumber: true },
          { name: "big", isNumber: true },
          { name: "ok", isNumber: false },
          { name: "gone", isNumber: false },
        ],
        rows: [
          [1, "1", true, null],
          [2, "2", true, null],
        ],
        more: true,
      });
      for (const sql of [
        "DELETE FROM devices",
        "WITH gone AS (DELETE FROM devices RETURNING 1) SELECT * FROM gone",
        "SELECT 1; COMMIT; DROP TABLE q.devices",
        "SELECT set_config('transaction_read_only', 'off', true), nextval('nothing')",
        "COPY devices TO PROGRAM 'true'",
        "SELECT nothing FROM devices",
      ]) {
        await expect(query(sql)).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
      }
      expect((await query("SELECT count(*) FROM q.devices")).rows).toEqual([["3"]]);
    } finally {
      await harness.tamper("DROP SCHEMA q CASCADE");
    }
  });
});

await describeWith(duckdbExtensions, "a query in a DuckLake", ({ folder }) => {
  test("reads the copies and writes nothing", async () => {
    await using harness = await LakeHarness.make({ extensions: folder });
    await (await harness.open())[Symbol.asyncDispose]();
    await harness.tamper("CREATE SCHEMA q");
    await harness.tamper("CREATE TABLE q.devices AS SELECT i AS id FROM range(1, 4) AS t(i)");
    const settings = ducklake.configuration.parse(harness.settings);
    const query = (sql: string): Promise<QueryResult> => ducklake.query(settings, { ...how, sql });
    expect(await query("FROM devices ORDER BY id")).toMatchObject({ rows: [["1"], ["2"]], more: true });
    await expect(query("DELETE FROM devices")).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
    expect((await query("SELECT count(*) AS n FROM q.devices")).rows).toEqual([["3"]]);
  });
});
