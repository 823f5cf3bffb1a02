import { Client, Connection, type ScheduleDescription, ScheduleOverlapPolicy } from "@temporalio/client";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { workflowType } from "../../src/cluster/contract.ts";
import { runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { bothSides, fillShop, Place, startServers } from "./harness.ts";

const long = { timeout: 180_000 };

await describeWith(startServers, "headwaters deploy", ({ temporal, server }) => {
  /** Works with Temporal by its own client. */
  async function withClient<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const connection = await Connection.connect({ address: temporal.address });
    try {
      return await work(new Client({ connection }));
    } finally {
      await connection.close();
    }
  }

  /** Waits until Temporal's list has just these schedules of some ids. */
  async function expectListed(client: Client, prefix: string, ids: readonly string[]): Promise<void> {
    for (const deadline = Date.now() + 30_000; ; await delay(200)) {
      const listed: string[] = [];
      for await (const { scheduleId } of client.schedule.list())
        if (scheduleId.startsWith(prefix)) listed.push(scheduleId);
      if (Date.now() > deadline) expect(listed.sort()).toEqual(ids);
      if (JSON.stringify(listed.sort()) === JSON.stringify(ids)) return;
    }
  }

  test("makes, changes and removes its own schedules, after it has shown them", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await fillShop(from, 500);
    await using place = await Place.make(temporal, from, to);
    const file = await place.read();
    const { shop } = file.connections;
    const { taskQueue } = file.temporal;
    const schedules = (wanted: Readonly<Record<string, string>>): Promise<void> => {
      const entries = Object.entries(wanted).map(([name, schedule]) => [name, { ...shop, schedule }] as const);
      return place.write({ ...file, connections: { ...Object.fromEntries(entries), unscheduled: shop } });
    };
    await schedules({ shop: "1h", nightly: "0 3 1 * MON Europe/Berlin" });
    const asked = await place.run("deploy");
    expect(asked.code).toBe(2);
    expect(asked.output).toContain("+ shop: every 1h");
    expect(asked.output).toContain("+ nightly: 0 3 1 * MON Europe/Berlin");
    expect(asked.error).toContain("Add --yes.");

    await withClient(async (client) => {
      const own = `headwaters/${taskQueue}/`;
      const describe = (name: string): Promise<ScheduleDescription> => client.schedule.getHandle(own + name).describe();
      await expect(describe("shop")).rejects.toThrow();
      const foreign = `headwaters/${taskQueue}-2/shop`;
      await client.schedule.create({
        scheduleId: foreign,
        spec: { intervals: [{ every: "1h" }] },
        action: { type: "startWorkflow", workflowType, taskQueue: `${taskQueue}-2` },
      });
      expect((await place.run("deploy", "--yes")).output).toContain("2 schedules changed.");
      const made = await describe("shop");
      expect(made.spec.intervals).toMatchObject([{ every: 3_600_000 }]);
      expect(made.policies.overlap).toBe(ScheduleOverlapPolicy.SKIP);
      // Either day is enough.
      const days = (await describe("nightly")).spec.calendars!.map(({ dayOfMonth, dayOfWeek }) => [
        dayOfMonth?.length === 1 && dayOfMonth[0]!.start === dayOfMonth[0]!.end,
        dayOfWeek?.length === 1 && dayOfWeek[0]!.start === dayOfWeek[0]!.end,
      ]);
      expect(days.sort()).toEqual([
        [false, true],
        [true, false],
      ]);
      await expectListed(client, own, [`${own}nightly`, `${own}shop`]);

      await client.schedule.getHandle(`${own}shop`).pause("not now");
      await schedules({ shop: "2h" });
      const changed = await place.run("deploy", "--yes", "--json");
      expect(
        changed.output
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as object),
      ).toMatchObject([
        { connection: "shop", kind: "schedule", change: "change", schedule: "every 2h", before: "every 1h" },
        { connection: "nightly", kind: "schedule", change: "remove", schedule: null },
      ]);
      const after = await describe("shop");
      expect(after.spec.intervals).toMatchObject([{ every: 7_200_000 }]);
      expect(after.state.paused).toBe(true);
      await expectListed(client, own, [`${own}shop`]);
      const again = await place.run("deploy");
      expect(again.output).toContain("  shop: every 2h (paused)");
      expect(again.output).toContain("Nothing to change.");
      expect(again.code).toBe(0);
      await client.schedule.getHandle(foreign).delete();

      await place.worker();
      await client.schedule.getHandle(`${own}shop`).trigger();
      for (const deadline = Date.now() + 60_000; ; await delay(200)) {
        const history = await place.run("history", "shop", "--json");
        if (history.output.includes("succeeded")) break;
        if (Date.now() > deadline) expect(history.output).toContain("succeeded");
      }
      const { source, copy } = await bothSides(from, to);
      expect(copy).toEqual(source);
      const [run] = await runSql<{ trigger: string }>(
        to.connectionString,
        "SELECT asked_by AS trigger FROM _headwaters.runs WHERE connection = 'shop'",
      );
      expect(run).toEqual({ trigger: "schedule" });
      await schedules({});
      expect((await place.run("deploy", "--yes")).output).toContain("- shop: every 2h");
      await expectListed(client, own, []);
    });
  });

  test("a cron expression that Temporal does not know is refused, with its connection", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await using place = await Place.make(temporal, from, to, { schedule: "0 3 L * *" });
    const { code, error } = await place.run("deploy", "--yes");
    expect(error).toContain(`connections.shop.schedule: Temporal does not accept "0 3 L * * UTC"`);
    expect(code).toBe(2);
  });
});
