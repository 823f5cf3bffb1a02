import { expect, test } from "vitest";
import { Workspace } from "../../cli/workspace.ts";
import { type CassandraServer, startCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { definition as scylladb } from "../../../src/sources/scylladb/index.ts";
import { cassandraSettings, cqlHarness, openCassandra, reading, tableNamed } from "./harness.ts";

const long = { timeout: 120_000 };

await describeWith(startCassandra, "what is chosen of Cassandra", (server: CassandraServer) => {
  const workspace = (more: object = {}): Promise<Workspace> =>
    Workspace.make({ type: "cassandra", ...cassandraSettings(server), ...more });

  test("columns, restrictions, other names: full, sweep and look-up agree", long, async () => {
    await server.run(
      "CREATE TABLE readings (site text, seq int, status text, size int, debug_note text, shared text static, PRIMARY KEY (site, seq))",
    );
    const insert = "INSERT INTO readings (site, seq, status, size, debug_note) VALUES (?, ?, ?, ?, 'note')";
    const rows = Array.from({ length: 400 }, (_, index) => [
      `s${index % 7}`,
      index,
      index % 2 === 0 ? "active" : "off",
      index,
    ]);
    await server.runAll(insert, rows);
    await server.run("INSERT INTO readings (site, shared) VALUES ('only static', 'x')");
    await using space = await workspace({ changes: "writetime" });
    const override = {
      columns: { exclude: ["debug_*", "shared"], rename: { seq: "position" } },
      filter: "status = 'active' AND size >= 100",
      rename: "Active",
    };
    await space.configure({ tables: ["readings"], overrides: { readings: override } });
    expect((await space.sync())["readings"]).toMatchObject({ outcome: "whole", inserted: 150, passes: ["full"] });
    expect(Object.keys((await space.rows("Active"))[0]!)).toEqual(["site", "position", "size", "status"]);

    // A column that is left out is in no version of a row.
    await server.run("UPDATE readings SET shared = 'y' WHERE site = 's1'");
    await server.run("UPDATE readings SET status = 'off' WHERE site = 's4' AND seq = 200");
    await server.run("UPDATE readings SET size = 1000 WHERE site = 's6' AND seq = 202");
    await server.run("DELETE FROM readings WHERE site = 's1' AND seq = 204");
    await server.runAll(insert, [
      ["s1", 5000, "active", 5000],
      ["s1", 5001, "off", 5001],
    ]);
    expect((await space.sync())["readings"]).toMatchObject({
      outcome: "whole",
      inserted: 1,
      updated: 1,
      deleted: 2,
      passes: ["keys"],
    });
    expect(
      (await space.rows("Active")).filter(({ position }) => [200, 202, 204, 5000, 5001].includes(Number(position))),
    ).toEqual([expect.objectContaining({ position: 5000 }), expect.objectContaining({ position: 202, size: 1000 })]);
    expect((await space.sync())["readings"]).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
    expect((await space.run("verify")).code).toBe(0);
  });

  test("a cursor column for one table, and what can be none", long, async () => {
    await server.run("CREATE TABLE watched (id int PRIMARY KEY, seen timestamp, name text)");
    const open = (cursor: string): ReturnType<typeof openCassandra> =>
      openCassandra(server, {}, { tables: { watched: { cursor } } });
    await using source = await open("seen");
    expect((await tableNamed(source, "watched")).version).toBe("seen");
    for (const [cursor, what] of [
      ["gone", "does not exist"],
      ["name", "is a text, which can't show when a row changed"],
    ] as const) {
      await using mistaken = await open(cursor);
      await expect(tableNamed(mistaken, "watched")).rejects.toMatchObject({
        code: "CURSOR_INVALID",
        message: expect.stringContaining(`overrides: watched: cursor: column "${cursor}" ${what}`),
        hint: expect.stringContaining("seen"),
      });
    }
  });

  test("the data centre of ScyllaDB's settings, by its name", long, async () => {
    await server.run("CREATE TABLE somewhere (id int PRIMARY KEY)");
    const [local] = await server.run("SELECT data_center FROM system.local");
    const { host: host_1, port, keyspace } = server;
    const login = server.username === null ? {} : { username: server.username, password: server.password };
    const open = (region: string): ReturnType<ReturnType<typeof cqlHarness>["open"]> =>
      cqlHarness(server, scylladb, { host_1, port, keyspace, ...login, data_center_region: region }).open();
    await using source = await open(String(local!["data_center"]));
    expect((await tableNamed(source, "somewhere")).key).toEqual(["id"]);
    await using lost = await open("nowhere");
    await expect(lost.discover(reading.signal)).rejects.toMatchObject({
      code: "DATABASE_UNKNOWN",
      message: expect.stringContaining('data_center_region: the cluster has no data centre "nowhere"'),
    });
  });

  test("windows of a cursor column have the filter too", long, async () => {
    const index = Number.parseInt(server.version, 10) >= 5 ? "USING 'sai'" : "";
    await server.run("CREATE TABLE orders (id int PRIMARY KEY, status text, modified_at timestamp)");
    await server.run(`CREATE INDEX ON orders (modified_at) ${index}`);
    const insert = "INSERT INTO orders (id, status, modified_at) VALUES (?, ?, ?)";
    const at = new Date(Date.now() - 3_600_000);
    await server.runAll(
      insert,
      Array.from({ length: 100 }, (_, id) => [id, id % 2 === 0 ? "open" : "done", at]),
    );
    await using space = await workspace();
    await space.configure({
      tables: ["orders"],
      deletes: "never",
      overrides: { orders: { filter: "status = 'open'", cursor: "modified_at" } },
    });
    expect((await space.sync())["orders"]).toMatchObject({ outcome: "whole", inserted: 50 });
    await server.runAll(insert, [
      [200, "open", new Date()],
      [201, "done", new Date()],
    ]);
    expect((await space.sync())["orders"]).toMatchObject({ outcome: "whole", inserted: 1, passes: ["window"] });
  });

  test.each([
    ["state = 'a'", 'names column "state", which the table does not have'],
    ["id = 1", 'names "id", a column of the key'],
    ["status = 'a' LIMIT 1", "is not a list of CQL restrictions"],
    ["status = 1", "is refused by the server"],
  ])("a mistake in a filter is told before the first row: %s", long, async (filter, message) => {
    await server.run("CREATE TABLE IF NOT EXISTS mistakes (id int PRIMARY KEY, status text)");
    await using space = await workspace();
    await space.configure({ tables: ["mistakes"], overrides: { mistakes: { filter } } });
    const { code, error } = await space.run("sync");
    expect([code, error]).toEqual([2, expect.stringContaining(`overrides.mistakes.filter ${message}`)]);
  });
});
