import { setTimeout as delay } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import { expect, test } from "vitest";
import { workflowId } from "../../src/cluster/contract.ts";
import { type PostgresqlServer, runSql, startOwnPostgresql } from "../servers/postgresql.ts";
import { startFront } from "../servers/front.ts";
import { describeWith } from "../servers/require.ts";
import { bothSides, expectWhole, fillShop, heartbeatSeconds, Place, startServers, underWay } from "./harness.ts";

const long = { timeout: 180_000 };

await describeWith(startServers, "a sync on Temporal, when something fails", ({ temporal, server }) => {
  function slow(from: PostgresqlServer, to: PostgresqlServer, more: object = {}): Promise<Place> {
    return Place.slow(temporal, from, to, more);
  }

  async function databases(): Promise<readonly [PostgresqlServer, PostgresqlServer]> {
    return [await server.createDatabase(), await server.createDatabase()];
  }

  test("the destination is killed in mid-sync, and comes back", long, async () => {
    const from = await server.createDatabase();
    await using to = await startOwnPostgresql();
    await using place = await slow(from, to);
    await place.worker();
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    await to.stop("immediate");
    await delay(1_000);
    await to.start();
    await expectWhole(sync, from, to);
  });

  test.each(["TEMPORAL", "PORT"] as const)(
    "a worker is cut off from %s (of Temporal, or of the destination), and comes back",
    long,
    async (cut) => {
      const [from, to] = await databases();
      await using place = await slow(from, to);
      const [host, port] = temporal.address.split(":");
      await using front = await startFront(cut === "PORT" ? to : { host: host!, port: Number(port) });
      // Each worker may have another environment: the fingerprint is that of the file.
      place.variables = { TEMPORAL: temporal.address, PORT: String(to.port) };
      const { connections, temporal: settings } = await place.read();
      const shop = connections["shop"] as { readonly destination: object };
      await place.write({
        connections: { shop: { ...shop, destination: { ...shop.destination, port: "${PORT}" } } },
        temporal: { ...settings, address: "${TEMPORAL}" },
      });
      await place.worker({ variables: { [cut]: cut === "PORT" ? String(front.port) : `127.0.0.1:${front.port}` } });
      await place.worker();
      const sync = place.run("sync", "--on", "temporal");
      await underWay(to);
      front.break("silent");
      await delay((heartbeatSeconds + 3) * 1_000);
      front.heal();
      await expectWhole(sync, from, to);
    },
  );

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
    await expectWhole(place.run("sync", "--on", "temporal"), from, to);
  });

  test("a sync whose lease another one has taken ends at once", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to);
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    await runSql(to.connectionString, "UPDATE _headwaters.leases SET lease = lease + 1");
    const { code, error } = await sync;
    expect(error).toContain("LEASE_LOST");
    expect(code).toBe(3);
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

  test("a table at which every worker is lost fails alone, and the next sync goes on with it", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to, { attempts: 1 });
    const first = await place.worker({ concurrency: 4 });
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    // The small tables are done.
    const done = "SELECT count(*) AS n FROM _headwaters.run_tables WHERE outcome = 'whole'";
    while ((await runSql<{ n: string }>(to.connectionString, done))[0]!.n !== "2") await delay(100);
    first.signal("SIGKILL");
    await place.worker();
    const { code, output, error } = await sync;
    expect(code, output + error).toBe(3);
    expect(output + error).toContain(`every attempt at table "orders" was lost with its worker`);
    const { source, copy } = await bothSides(from, to);
    expect(copy).toEqual({ ...source, orders: copy["orders"] });
    await expectWhole(place.run("sync", "--on", "temporal"), from, to);
  });

  test("a worker with another configuration refuses the sync, and both are named", long, async () => {
    const [from, to] = await databases();
    await fillShop(from, 100);
    await using place = await Place.make(temporal, from, to);
    const file = await place.read();
    const other = { ...file, connections: { shop: { ...file.connections["shop"], deletes: "never" } } };
    await place.write(other, "other.yaml");
    await place.worker({ flags: ["--file", "other.yaml"] });
    const { code, error } = await place.run("sync", "--on", "temporal");
    expect(code).toBe(2);
    expect(error).toMatch(
      /connection "shop" differs between the worker on \S+ \([0-9a-f]{12}\) and the place where .* \([0-9a-f]{12}\)/,
    );
  });

  test("a Temporal that can't be reached is named", long, async () => {
    const [from, to] = await databases();
    await using place = await Place.make({ address: "127.0.0.1:1" }, from, to);
    const { code, error } = await place.run("sync", "--on", "temporal");
    expect(code).toBe(3);
    expect(error).toContain("temporal.address: Temporal can't be reached at 127.0.0.1:1");
  });

  test("a worker that is asked to stop ends what it does, and the sync goes on elsewhere", long, async () => {
    const [from, to] = await databases();
    await using place = await slow(from, to);
    const first = await place.worker({ flags: ["--drain", "1"] });
    await place.worker();
    const sync = place.run("sync", "--on", "temporal");
    await underWay(to);
    first.signal("SIGTERM");
    expect(await first.ended).toBe(0);
    await expectWhole(sync, from, to);
  });
});
