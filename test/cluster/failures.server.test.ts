import { setTimeout as delay } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import { expect, test } from "vitest";
import { workflowId } from "../../src/cluster/contract.ts";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { bothSides, fillShop, Place, startServers } from "./harness.ts";

const long = { timeout: 400_000 };
const rows = 40_000;

await describeWith(startServers, "a sync on Temporal, when something fails", ({ temporal, server }) => {
  /** A source that takes half a minute to read, so that things happen meanwhile. */
  async function slow(from: PostgresqlServer, to: PostgresqlServer, more: object = {}): Promise<Place> {
    await fillShop(from, rows);
    return Place.make(temporal, from, to, {
      settings: { parallel: 4, maxRowsPerSecond: 1_500, commitInterval: "1s", ...more },
    });
  }

  async function databases(): Promise<readonly [PostgresqlServer, PostgresqlServer]> {
    return [await server.createDatabase(), await server.createDatabase()];
  }

  async function expectEqual(from: PostgresqlServer, to: PostgresqlServer): Promise<void> {
    const { source, copy } = await bothSides(from, to);
    expect(copy).toEqual(source);
  }

  /** Waits until some rows have arrived. */
  async function underWay(to: PostgresqlServer): Promise<void> {
    for (;;) {
      const [row] = await runSql<{ n: string }>(
        to.connectionString,
        "SELECT count(*) AS n FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname = 'orders' AND nspname = 'copy'",
      );
      if (row!.n === "1") {
        const [copied] = await runSql<{ n: string }>(to.connectionString, "SELECT count(*) AS n FROM copy.orders");
        if (Number(copied!.n) > 1_000) return;
      }
      await delay(200);
    }
  }

  test("a worker that is killed, and one that is frozen and wakes, lose and double nothing", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to);
    const workers = [await place.worker(), await place.worker(), await place.worker()] as const;
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    workers[0].signal("SIGKILL");
    workers[1].signal("SIGSTOP");
    // Its attempts are given up after 30 s.
    await delay(40_000);
    workers[1].signal("SIGCONT");
    const { code, error, output } = await sync;
    expect(code, error + output).toBe(0);
    await expectEqual(from, to);
    const [row] = await runSql<{ held: boolean; lease: string }>(
      to.connectionString,
      "SELECT held, lease FROM _headwaters.leases",
    );
    expect(row).toEqual({ held: false, lease: "1" });
  });

  test.skipIf(temporal.restart === null)("Temporal itself is killed in mid-sync", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to);
    await place.worker();
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    await temporal.restart!();
    const { code, error, output } = await sync;
    expect(code, error + output).toBe(0);
    await expectEqual(from, to);
  });

  test("a sync that is cancelled is recorded as stopped, and the next one goes on from there", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to);
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    const connection = await Connection.connect({ address: temporal.address });
    await new Client({ connection }).workflow.getHandle(workflowId("shop")).cancel();
    await connection.close();
    expect((await sync).code).toBe(130);
    const [run] = await runSql<{ outcome: string }>(to.connectionString, "SELECT outcome FROM _headwaters.runs");
    expect(run).toEqual({ outcome: "stopped" });
    await place.write({ ...(await place.read()) });
    const second = await place.run("sync", "--on", "temporal");
    expect(second.code, second.error + second.output).toBe(0);
    await expectEqual(from, to);
  });

  test("a table that fails everywhere fails alone, and the record says why", long, async () => {
    const [from, to] = await databases();
    await fillShop(from, 2_000);
    await using place = await Place.make(temporal, from, to);
    await place.worker();
    expect((await place.run("sync", "--on", "temporal")).code).toBe(0);
    await runSql(
      to.connectionString,
      `CREATE FUNCTION copy.poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$;
        CREATE TRIGGER poison BEFORE UPDATE ON copy.orders FOR EACH ROW EXECUTE FUNCTION copy.poison()`,
    );
    await runSql(
      from.connectionString,
      "UPDATE orders SET name = 'x', updated_at = now() WHERE id = 7; UPDATE customers SET name = 'y' WHERE id = 7",
    );
    const { code, output, error } = await place.run("sync", "--on", "temporal", "--sweep");
    expect(code, output + error).toBe(1);
    expect(output + error).toContain("poisoned");
    const { source, copy } = await bothSides(from, to);
    expect(copy).toEqual({ ...source, orders: copy["orders"] });
    expect(copy["orders"]).not.toBe(source["orders"]);
  });

  test("a worker with another configuration refuses the sync, and both are named", long, async () => {
    const [from, to] = await databases();
    await fillShop(from, 100);
    await using place = await Place.make(temporal, from, to);
    await place.worker();
    const file = (await place.read()) as unknown as { connections: { shop: object } };
    const other = { ...file, connections: { shop: { ...file.connections.shop, deletes: "never" } } };
    await place.write(other);
    const { code, error } = await place.run("sync", "--on", "temporal");
    expect(code).toBe(2);
    expect(error).toMatch(
      /connection "shop" is another at the worker on \S+ \([0-9a-f]{12}\) than where .* \([0-9a-f]{12}\)/,
    );
  });

  test(
    "Temporal's packages are named where they are missing, and a Temporal that is away is said so",
    long,
    async () => {
      const [from, to] = await databases();
      await using place = await Place.make({ address: "127.0.0.1:1" }, from, to);
      const { code, error } = await place.run("sync", "--on", "temporal");
      expect(code).toBe(1);
      expect(error).toContain("temporal.address: Temporal can't be reached at 127.0.0.1:1");
    },
  );

  test("into a DuckDB file a sync runs whole on one worker", long, async () => {
    const [from] = await databases();
    await fillShop(from, 1_000);
    await using place = await Place.make(temporal, from, "copy.duckdb");
    await place.worker();
    await place.worker();
    const { code, error, output } = await place.run("sync", "--on", "temporal");
    expect(code, error + output).toBe(0);
    expect((await place.run("verify")).code).toBe(0);
  });

  test("a worker that is asked to stop ends what it does, and the sync goes on elsewhere", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to);
    const first = await place.worker({ flags: ["--drain", "2"] });
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    first.signal("SIGTERM");
    expect(await first.ended).toBe(0);
    const { code, error, output } = await sync;
    expect(code, error + output).toBe(0);
    await expectEqual(from, to);
  });
});
