import { readdir, readFile } from "node:fs/promises";
import proto from "@temporalio/proto";
import { DefaultLogger, Runtime, Worker } from "@temporalio/worker";
import { beforeAll, describe, expect, test } from "vitest";
import { built } from "../built.ts";

/*
 * Syncs that ran on the real server, as `record-histories.ts` has kept them. Workers of a newer version go on with syncs
 * that an older one began: they must ask for the same things in the same order.
 */

const folder = new URL("histories/", import.meta.url);
const names = (await readdir(folder)).filter((name) => name.endsWith(".json"));

interface Recorded {
  readonly events: readonly { readonly activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];
}

async function replay(name: string, change: (history: Recorded) => void = () => {}): Promise<void> {
  const history = JSON.parse(await readFile(new URL(name, folder), "utf8")) as Recorded;
  change(history);
  const { History } = proto.temporal.api.history.v1;
  await Worker.runReplayHistory(
    { workflowBundle: { codePath: built("cluster/workflow-bundle.js") } },
    History.fromObject(history as object),
  );
}

describe("workflows of recorded histories", () => {
  beforeAll(() => Runtime.install({ logger: new DefaultLogger("ERROR", () => {}) }));

  test.each(names)("%s goes on", async (name) => {
    await expect(replay(name)).resolves.toBeUndefined();
  });

  test("a workflow that asks for something else does not go on", async () => {
    const rename = ({ events }: Recorded): void => {
      for (const { activityTaskScheduledEventAttributes: asked } of events)
        if (asked?.activityType.name === "readShare") asked.activityType.name = "readOther";
    };
    await expect(replay("two-workers.json", rename)).rejects.toThrow(/[Nn]ondeterminism/);
  });
});
