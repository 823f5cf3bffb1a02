import { expect, test } from "vitest";
import { defaultSettings } from "../../../src/engine/connection.ts";
import { sync } from "../../../src/engine/run/sync.ts";
import { verify } from "../../../src/engine/commands/verify.ts";
import { definition as yugabytedb } from "../../../src/sources/yugabytedb/index.ts";
import { context } from "../../conformance/destination/steps.ts";
import { runSql, startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { openSource, session } from "../../sources/postgresql/harness.ts";
import { typeCases, typeCreation } from "../../sources/postgresql/type-cases.ts";
import { PostgresqlHarness } from "./harness.ts";

const signal = new AbortController().signal;

await describeWith(startPostgresql, "every type of YugabyteDB in PostgreSQL", (server) => {
  test("is read back by another client as it was, and verify agrees", { timeout: 180_000 }, async () => {
    await using origin = await server.createDatabase();
    await using harness = new PostgresqlHarness(server);
    await runSql(origin.connectionString, typeCreation);
    const client = await session(origin);
    for (const [index, { native, values }] of typeCases.entries()) {
      await client.query(`CREATE TABLE t${index} (id int PRIMARY KEY, value ${native})`);
      for (const [id, [literal]] of values.entries())
        await client.query(`INSERT INTO t${index} VALUES ($1, $2)`, [id, literal]);
      // The domain `words` takes no NULL.
      if (native !== "words") await client.query(`INSERT INTO t${index} VALUES (-1, NULL)`);
    }
    await client.end();
    {
      await using source = await openSource(origin);
      await using warehouse = await harness.open();
      const connection = {
        name: "c",
        source,
        capabilities: yugabytedb.capabilities,
        warehouse,
        scope: null,
        selection: { include: [], exclude: [] },
        settings: { ...defaultSettings, deletes: "each_sync" },
        log: context().log,
      } as const;
      // The second time everything is set aside and compared: nothing may differ.
      for (const full of [false, true]) {
        const record = await sync(connection, { signal, full }, () => {});
        expect(record.tables.map(({ table, error }) => [table, error]).filter(([, error]) => error !== null)).toEqual(
          [],
        );
        if (full)
          expect(record.tables.map(({ inserted, updated }) => inserted + updated).filter((n) => n > 0)).toEqual([]);
      }
      const { tables } = await verify(connection, { signal }, () => {});
      expect(tables.filter(({ verdict }) => verdict !== "CONVERGED")).toEqual([]);
    }
    for (const [index, { native, values }] of typeCases.entries()) {
      const rows = (await harness.readBack("s", `t${index}`))!;
      const found = new Map(rows.map((row) => [row["id"], row["value"]]));
      expect(
        [...values.keys()].map((id) => found.get(id)),
        native,
      ).toEqual(values.map(([, value]) => value));
      if (native !== "words") expect(found.get(-1), native).toBeNull();
    }
  });
});
