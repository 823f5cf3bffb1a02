import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { bothSides, expectWhole, fillShop, heartbeatSeconds, Place, startServers, underWay } from "./harness.ts";

const long = { timeout: 300_000 };

await describeWith(startServers, "a sync on Temporal", ({ temporal, server }) => {
  test("two workers copy a database, and what changed is copied by the next sync", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await fillShop(from, 24_000);
    await using place = await Place.make(temporal, from, to);
    await place.worker();
    await place.worker();
    const first = await place.run("sync", "--on", "temporal", "--json");
    expect(first.error).toBe("");
    expect(first.code).toBe(0);
    const sides = await bothSides(from, to);
    expect(sides.copy).toEqual(sides.source);
    await runSql(
      from.connectionString,
      `UPDATE orders SET name = 'changed', updated_at = now() WHERE id % 1000 = 0;
        DELETE FROM orders WHERE id % 5000 = 1; INSERT INTO orders VALUES (0, 'new', NULL, now()); DELETE FROM customers WHERE id = 7`,
    );
    const second = await place.run("sync", "--on", "temporal", "--sweep");
    expect(second.code, second.error + second.output).toBe(0);
    const after = await bothSides(from, to);
    expect(after.copy).toEqual(after.source);
    const history = await place.run("history", "--json");
    expect(history.output).toContain("succeeded");
    const verified = await place.run("verify");
    expect(verified.code, verified.error + verified.output).toBe(0);
  });

  test("a worker that is killed, and one that is frozen and wakes, lose and double nothing", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await using place = await Place.slow(temporal, from, to);
    const flags = ["--log-level", "debug"];
    const workers = [await place.worker(), await place.worker({ flags }), await place.worker()] as const;
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    workers[0].signal("SIGKILL");
    workers[1].signal("SIGSTOP");
    await delay((heartbeatSeconds + 3) * 1_000);
    expect(await workers[1].refusals()).toEqual({ refused: 0, cutOff: 0, givenUp: 0 });
    workers[1].signal("SIGCONT");
    await expectWhole(sync, from, to);
    const { refused, cutOff, givenUp } = await workers[1].refusals();
    expect(refused + cutOff + givenUp).toBeGreaterThan(0);
    const [row] = await runSql<{ held: boolean; lease: string }>(
      to.connectionString,
      "SELECT held, lease FROM _headwaters.leases",
    );
    expect(row).toEqual({ held: false, lease: "1" });
  });

  test.skipIf(temporal.restart === null)("Temporal itself is killed in mid-sync", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await using place = await Place.slow(temporal, from, to);
    await place.worker();
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    await temporal.restart!();
    await expectWhole(sync, from, to);
  });

  test("into a DuckDB file a sync runs whole on one worker", long, async () => {
    const from = await server.createDatabase();
    await fillShop(from, 1_000);
    await using place = await Place.make(temporal, from, "shop.duckdb");
    await place.worker();
    await place.worker();
    const { code, error, output } = await place.run("sync", "--on", "temporal");
    expect(code, error + output).toBe(0);
    expect((await place.run("verify")).code).toBe(0);
  });
});
