import { expect, test } from "vitest";
import { fill, live, sync, tableOf, things, three, upsert } from "../../conformance/destination/steps.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { PostgresqlHarness } from "./harness.ts";

await describeWith(startPostgresql, "views of PostgreSQL without deleted rows", (server) => {
  const given = { views: "live" } as const;

  test("keep grants, and views that read them, when a column is added", async () => {
    await using harness = new PostgresqlHarness(server, {});
    await fill(harness, things, three, given);
    await harness.tamper("CREATE VIEW s.mine AS SELECT id, name FROM s_live.things");
    await harness.tamper("GRANT SELECT ON s_live.things TO PUBLIC");
    const wider = tableOf("things", { id: "LONG", name: "STRING", at: "INT", fresh: "STRING" }, ["id"]);
    await sync(harness, { tables: [wider], kind: "stream", sync: 2, given }, [upsert(wider, [1n, "uno", 2, "new"])]);
    const grants = await harness.query(
      "SELECT grantee FROM information_schema.role_table_grants WHERE table_schema = 's_live' AND grantee = 'PUBLIC'",
    );
    expect(grants).toHaveLength(1);
    expect(await harness.query("SELECT fresh FROM s_live.things WHERE id = 1")).toEqual([{ fresh: "new" }]);
    expect(await harness.query("SELECT name FROM s.mine WHERE id = 1")).toEqual([{ name: "uno" }]);
  });

  test("are said to stand in the way where others read them and a column becomes wider", async () => {
    await using harness = new PostgresqlHarness(server, {});
    await fill(harness, things, three, given);
    await harness.tamper("CREATE VIEW s.mine AS SELECT id FROM s_live.things");
    const wider = tableOf("things", { id: "LONG", name: "STRING", at: "LONG" }, ["id"]);
    const again = sync(harness, { tables: [wider], kind: "stream", sync: 2, given }, []);
    await expect(again).rejects.toMatchObject({ code: "DESTINATION_UNUSABLE", hint: expect.stringContaining("view") });
    expect(await live(harness, things)).toHaveLength(3);
    expect(await harness.query("SELECT count(*) AS n FROM s_live.things")).toEqual([{ n: "3" }]);
  });
});
