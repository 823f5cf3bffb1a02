import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { duckdbDialect } from "../../../src/destinations/duckdb/dialect.ts";
import { fileStorage } from "../../../src/destinations/duckdb/file-storage.ts";
import type { Copy } from "../../../src/destinations/sql/model.ts";
import { goneKeys, missingKeys } from "../../../src/destinations/sql/settle.ts";
import { createStage } from "../../../src/destinations/sql/stage.ts";
import type { Session } from "../../../src/destinations/sql/dialect.ts";
import type { Type } from "../../../src/protocol/types.ts";
import { passOf, tableOf } from "../../conformance/destination/steps.ts";

/** Keys of one column and of several. */
const keys = [["a"], ["a", "b"]] as const;
const system = { synced: "_headwaters_synced", deleted: "_headwaters_deleted", id: "_headwaters_id" };

test.each(keys.flatMap((key) => [100, 1_000_000].map((rows) => [key, rows] as const)))(
  "keys (%s) of %i rows are compared by hash, never each with every other (cases 37, 53)",
  async (key, rows) => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const dialect = duckdbDialect("memory", fileStorage("x.duckdb", "192MB"));
    const table = tableOf("t", { a: "LONG", b: "STRING", v: "LONG" }, [...key], { version: "v" });
    const pass = passOf("p", "keys", [table], "2024-01-01T00:00:00.000Z", { copyRows: rows });
    const columns = new Map<string, Type>(table.columns.map(({ name, type }) => [name, type]));
    const relation = dialect.relation("main", "copy");
    await connection.run(
      `CREATE TABLE ${relation} (a BIGINT, b VARCHAR, v BIGINT, ${system.synced} TIMESTAMPTZ, ${system.deleted} BOOLEAN);
       INSERT INTO ${relation} SELECT i, 'b' || i, i, '2020-01-01', false FROM range(2000) r(i)`,
    );
    const session = { dialect, run: (sql: string) => connection.run(sql) } as unknown as Session;
    const stage = await createStage(session, "TABLE", dialect.relation("main", "stage"), columns);
    const copy: Copy = { id: "t", relation, schema: "main", columns, native: new Map(), system, indexes: [] };
    for (const query of [goneKeys(dialect, pass, table, copy, stage), missingKeys(dialect, pass, table, copy, stage)]) {
      const plan = (await connection.runAndReadAll(`EXPLAIN ${query}`)).getRows().flat().join("\n");
      expect(plan).toContain("HASH_JOIN");
      expect(plan).not.toMatch(/CROSS_PRODUCT|NESTED_LOOP_JOIN|BLOCKWISE_NL_JOIN|DELIM_JOIN/);
    }
    connection.closeSync();
    instance.closeSync();
  },
);
