import { Client, Connection, type WorkflowHandle } from "@temporalio/client";
import { Context } from "@temporalio/activity";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { expect, test } from "vitest";
import { type Activities, type Begun, type Ended, type SyncRequest, workflowType } from "../../src/cluster/contract.ts";
import { nothingDone } from "../../src/engine/run/counts.ts";
import { built } from "../built.ts";
import { describeWith } from "../servers/require.ts";
import { startTemporal } from "../servers/temporal.ts";

/** From here on Temporal warns, for one history. */
const warnings = { events: 10_240, bytes: 10 << 20 };

interface Size {
  readonly events: number;
  readonly bytes: number;
}

const course = { passes: [], scope: "f".repeat(64), replace: false, resumed: false, startedOver: 0 } as const;
const id = "0b7c4c0a-59d3-4d5e-9a43-6f2f7d1c0a11";

/** What workers answer, at once: the workflow alone is looked at. `splits`: of each table. */
function answers(queue: string, splits: readonly number[], parallel: number): Activities {
  const flags = { trigger: "schedule" } as const;
  const sync = { run: id, lease: 1, started: "2026-01-01T00:00:00.000Z", flags };
  const name = (index: number): string => `public.a_table_with_a_name_of_its_${String(index).padStart(4, "0")}`;
  const tables = splits.map((_, index) => name(index));
  const counts = { ...nothingDone, rowsRead: 1_234_567, bytesRead: 123_456_789, inserted: 1_234_567, passes: ["full"] };
  return {
    begin: async (): Promise<Begun> => ({ sync, tables, parallel, attempts: 5 }),
    async stepTable({ table, read }) {
      const left = Array.from({ length: splits[tables.indexOf(table)]! }, (_, place) => place);
      const reading = read === null && left.length > 1 ? { pass: id, course, left } : null;
      return { counts, reading, outcome: reading === null ? "whole" : "running", holder: queue };
    },
    readShare: async () => ({ counts: { ...counts, passes: [] }, left: [], again: null }),
    hold: () => Context.current().cancelled,
    failTable: async () => {},
    syncWhole: () => Promise.reject(new Error("not asked for")),
    end: async (): Promise<Ended> => ({ outcome: "succeeded", whole: tables.length, failed: 0 }),
    verify: () => Promise.reject(new Error("not asked for")),
  };
}

await describeWith(startTemporal, "the histories of a large sync", ({ address }) => {
  /** Runs the workflow, and resolves to the size of each of its histories. */
  async function sizes(splits: readonly number[], parallel: number): Promise<readonly Size[]> {
    const taskQueue = `histories-${parallel}-${splits.length}-${Date.now()}`;
    const native = await NativeConnection.connect({ address });
    const connection = await Connection.connect({ address });
    try {
      const worker = await Worker.create({
        ...{ connection: native, taskQueue, activities: answers(taskQueue, splits, parallel) },
        workflowBundle: { codePath: built("cluster/workflow-bundle.js") },
      });
      const client = new Client({ connection });
      return await worker.runUntil(async () => {
        const request: SyncRequest = {
          ...{ connection: "shop", fingerprint: "0123456789ab", heartbeatTimeout: 30_000 },
          flags: { trigger: "schedule" },
        };
        const handle = await client.workflow.start(workflowType, {
          ...{ workflowId: taskQueue, taskQueue, args: [request] },
        });
        expect(await handle.result()).toEqual({ outcome: "succeeded", whole: splits.length, failed: 0 });
        const found: Size[] = [];
        for (let run: string | null = handle.firstExecutionRunId; run !== null;) {
          const one: WorkflowHandle = client.workflow.getHandle(taskQueue, run);
          const { historyLength, historySize } = await one.describe();
          found.push({ events: historyLength, bytes: historySize! });
          const { events } = await one.fetchHistory();
          const ended = events!.at(-1)!;
          run = ended.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? null;
        }
        return found;
      });
    } finally {
      await connection.close();
      await native.close();
    }
  }

  Runtime.install({ logger: new DefaultLogger("ERROR", () => {}) });

  const cases = [
    { title: "2,000 splits in 10 of 300 tables", splits: Array.from({ length: 300 }, (_, at) => (at < 10 ? 171 : 1)) },
    { title: "2,100 splits, 7 in each of 300 tables", splits: Array.from({ length: 300 }, () => 7) },
  ];
  test.each(cases)("$title stay below Temporal's warnings", { timeout: 400_000 }, async ({ title, splits }) => {
    for (const parallel of [4, 16]) {
      const found = await sizes(splits, parallel);
      const shown = found.map(({ events, bytes }) => `${events} events, ${Math.round(bytes / 1_024)} KiB`);
      process.stdout.write(`${title}, parallel ${parallel}: ${shown.join("; ")}\n`);
      for (const { events, bytes } of found) {
        expect(events).toBeLessThan(warnings.events);
        expect(bytes).toBeLessThan(warnings.bytes);
      }
    }
  });
});
