import { expect, test } from "vitest";
import { rowsOf } from "../../../src/toolkit/vectors.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { Workspace } from "../../cli/workspace.ts";
import {
  cellsOfRows,
  collect,
  fast,
  independent,
  never,
  openSource,
  passOf,
  rowsOfPass,
  sql,
  tableOf,
} from "./harness.ts";

const long = { timeout: 60_000 };

await describeWith(startPostgresql, "what is chosen of YugabyteDB", (server) => {
  const { host, port, database, user, password } = server;
  const workspace = (): Promise<Workspace> =>
    Workspace.make({ type: "yugabytedb", host, port, database, user, password, lag: 0 });

  test("columns, a filter, other names: full, window, sweep and look-up agree", long, async () => {
    await sql(
      server,
      `CREATE TABLE readings (id int PRIMARY KEY, temperature int, debug_note text, secret text, updated_at timestamptz DEFAULT now() - interval '1 minute');
       CREATE INDEX ON readings (updated_at);
       INSERT INTO readings SELECT i, i % 20 - 10, 'note', 'secret' FROM generate_series(1, 2000) i;
       REVOKE ALL ON readings FROM PUBLIC`,
    );
    await using space = await workspace();
    const override = {
      columns: { exclude: ["debug_*", "secret"], rename: { temperature: "celsius" } },
      filter: "temperature > 0 AND coalesce(debug_note, '') <> 'hidden (really)'",
      rename: "warm",
    };
    await space.configure({ tables: ["readings"], overrides: { readings: override } });
    expect((await space.sync())["readings"]).toMatchObject({ outcome: "whole", inserted: 900, passes: ["full"] });
    expect(Object.keys((await space.rows("warm"))[0]!)).toEqual(["id", "celsius", "updated_at"]);

    await sql(
      server,
      `UPDATE readings SET temperature = 100, updated_at = now() - interval '1 second' WHERE id = 11;
       UPDATE readings SET temperature = -100, updated_at = now() - interval '1 second' WHERE id = 12;
       UPDATE readings SET debug_note = 'hidden (really)', updated_at = now() - interval '1 second' WHERE id = 13;
       UPDATE readings SET temperature = 5, updated_at = '2000-01-01' WHERE id = 1;
       DELETE FROM readings WHERE id = 14;
       INSERT INTO readings VALUES (3000, 7), (3001, -7)`,
    );
    const run = (await space.sync())["readings"]!;
    expect(run).toMatchObject({ outcome: "whole", inserted: 2, updated: 1, deleted: 3, passes: ["window", "keys"] });
    expect((await space.rows("warm")).filter(({ id }) => [1, 11, 12, 13, 14, 3000, 3001].includes(Number(id)))).toEqual(
      [
        expect.objectContaining({ id: 1, celsius: 5 }),
        expect.objectContaining({ id: 11, celsius: 100 }),
        expect.objectContaining({ id: 3000, celsius: 7 }),
      ],
    );
    expect((await space.run("verify")).code).toBe(0);

    // Another filter takes nothing away before the user agrees.
    await space.configure({
      tables: ["readings"],
      overrides: { readings: { ...override, filter: "temperature > 8" } },
    });
    const refused = await space.run("sync");
    expect([refused.code, refused.error]).toEqual([4, expect.stringContaining("SCOPE_CHANGED")]);
    expect((await space.run("verify")).code).toBe(6);
    expect(await space.rows("warm")).toHaveLength(899);
    expect((await space.sync("--accept-scope"))["readings"]).toMatchObject({ outcome: "whole", passes: ["full"] });
    expect(await space.rows("warm")).toHaveLength(101);
    expect((await space.run("verify")).code).toBe(0);
  });

  test("a column that may not be read is no hindrance once it is left out", long, async () => {
    await sql(
      server,
      `CREATE TABLE partly (id int PRIMARY KEY, name text, secret text); INSERT INTO partly VALUES (1, 'one', 'x');
       CREATE ROLE partly_${database} LOGIN PASSWORD 'p'; GRANT SELECT (id, name) ON partly TO partly_${database}`,
    );
    try {
      await using space = await Workspace.make({
        ...{ type: "yugabytedb", host, port, database, user: `partly_${database}`, password: "p" },
      });
      await space.configure({ tables: ["partly"] });
      expect((await space.sync())["partly"]!.error?.code).toBe("PRIVILEGE_MISSING");
      await space.configure({ tables: ["partly"], overrides: { partly: { columns: ["id", "name"] } } });
      expect((await space.sync())["partly"]).toMatchObject({ outcome: "whole", inserted: 1 });
    } finally {
      await sql(server, `DROP OWNED BY partly_${database}; DROP ROLE partly_${database}`);
    }
  });

  test(
    "a filter may name the table, also of partitions; both ways of reading take it, and every way of cutting",
    long,
    async () => {
      await sql(
        server,
        `CREATE TABLE parts (id int, kind text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
       CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (1000);
       CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (1000) TO (3000);
       INSERT INTO parts SELECT i, CASE i % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' END FROM generate_series(1, 2000) i`,
      );
      for (const filter of ["parts.kind = 'a'", "kind = 'a' OR id = 1"]) {
        await using source = await openSource(server, {}, { tables: { parts: { filter } } });
        const table = await tableOf(source, "parts");
        const expected = await sql(server, `SELECT id::text AS key FROM parts WHERE ${filter} ORDER BY parts.id`);
        for (const how of [fast, independent]) {
          const ids = (await rowsOfPass(source, await passOf(source, table), how)).map((row) => Number(row[0]));
          expect(ids.sort((a, b) => a - b)).toEqual(expected.map(({ key }) => Number(key)));
        }
        const keys = rowsOf([table.columns[0]!], [[1], [2], [3]]);
        const found = (await collect(source.lookup(table, keys, fast))).flatMap(cellsOfRows);
        expect(found.map(([id]) => id)).toEqual(filter.includes("OR") ? [1, 3] : [3]);
      }
    },
  );

  test.each([
    ["temprature > 0", 'column "temprature" does not exist'],
    ["temperature", "must be type boolean"],
    ["temperature > 'warm'", "invalid input syntax"],
    ["count(*) > 1", "aggregate functions are not allowed"],
    ["temperature > 0 AND", "syntax error"],
    ["temperature > 0) OR (true", "closes a parenthesis that it does not open"],
    ["temperature > 0; DROP TABLE mistakes", "has more than one statement"],
  ])("a mistake in a filter is told before the first row: %s", async (filter, message) => {
    await sql(
      server,
      "CREATE TABLE IF NOT EXISTS mistakes (id int PRIMARY KEY, temperature int); INSERT INTO mistakes VALUES (1, 1) ON CONFLICT DO NOTHING",
    );
    const open = () => openSource(server, {}, { tables: { mistakes: { filter } } });
    const expected = expect.objectContaining({
      code: "CONFIGURATION_INVALID",
      message: expect.stringMatching(/^overrides\.mistakes\.filter /),
    });
    await using source = await open();
    const planned = (async () => passOf(source, await tableOf(source, "mistakes")))();
    await expect(planned).rejects.toThrow(expected);
    await expect(planned).rejects.toThrow(message);
    const steps = await collect(source.check(never));
    expect(steps.at(-1)).toMatchObject({ name: "filters", status: "failed" });
    expect(steps.at(-1)!.message).toContain(message);
    expect(await sql(server, "SELECT count(*)::text AS n FROM mistakes")).toEqual([{ n: "1" }]);
  });
});
