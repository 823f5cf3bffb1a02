import { Client, Connection } from "@temporalio/client";
import { expect, test } from "vitest";
import { workflowId } from "../../src/cluster/contract.ts";
import { runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { Up, until } from "../service/up.ts";
import { bothSides, fillShop, Place, startServers } from "./harness.ts";

const long = { timeout: 240_000 };

await describeWith(startServers, "headwaters up --on temporal", ({ temporal, server }) => {
  test("hands schedules over, and shows and alerts what workers do", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await fillShop(from, 500);
    await using place = await Place.make(temporal, from, to, { schedule: "1h", verify: "3h" });
    await place.worker();
    await using up = await Up.start(place.folder, ["--on", "temporal"]);
    const file = await place.read();
    const { taskQueue } = file.temporal;
    const connection = await Connection.connect({ address: temporal.address });
    try {
      const { schedule: schedules, workflow } = new Client({ connection });
      const syncs = schedules.getHandle(`headwaters/${taskQueue}/shop`);
      await syncs.trigger();
      expect(await up.ended("shop")).toMatchObject({ outcome: "succeeded", trigger: "schedule" });
      const { source, copy } = await bothSides(from, to);
      expect(copy).toEqual(source);

      await schedules.getHandle(`headwaters-verify/${taskQueue}/shop`).trigger();
      expect(await up.ended("shop", "verify")).toMatchObject({ outcome: "succeeded", verdict: "CONVERGED" });
      const shown = await until("it shows both", async () => {
        const shown = await up.connection("shop");
        return shown.state === "ok" && shown.lastProof !== null && shown.rows === 6_500 && shown;
      });
      expect(shown).toMatchObject({ schedule: "every 1h", verifySchedule: "every 3h", paused: false });
      expect(Date.parse(shown.nextRun!)).toBeGreaterThan(Date.now());

      const paused = await up.act("shop", { action: "pause" });
      expect(paused.status).toBe(409);
      expect(JSON.stringify(paused.body)).toContain("pause it there");

      expect((await up.act("shop", { action: "sync", full: true })).status).toBe(200);
      const asked = await up.ended("shop", "sync", shown.lastRun!.started);
      expect(asked).toMatchObject({ outcome: "succeeded", trigger: "person" });
      expect(await workflow.getHandle(workflowId("shop")).describe()).toMatchObject({ runId: asked.id });

      const other = { ...file.connections["shop"], schedule: "2h" };
      await place.write({ ...file, connections: { shop: other } });
      await until("the schedule is another", async () => {
        const { spec } = await syncs.describe();
        return Number(spec.intervals?.[0]?.every) === 7_200_000;
      });
      await until("it shows that", async () => (await up.connection("shop")).schedule === "every 2h");

      await runSql(from.connectionString, "DROP TABLE customers");
      await syncs.trigger();
      const failed = await until("it shows what failed", async () => {
        const shown = await up.connection("shop");
        return shown.state === "problem" && shown;
      });
      expect(failed).toMatchObject({ failures: 1, lastRun: { outcome: "failed", tables: { failed: 1 } } });
    } finally {
      await connection.close();
    }
    expect(await up.stop()).toBe(0);
  });
});
