import { expect, test, vi } from "vitest";
import { reset } from "../../src/engine/commands/reset.ts";
import { verify, type VerifyEvent } from "../../src/engine/commands/verify.ts";
import type { SyncEvent } from "../../src/engine/events.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import { Copy } from "./harness.ts";
import { MemorySource } from "./memory-source.ts";

const signal = new AbortController().signal;

function filled(): MemorySource {
  const source = new MemorySource();
  for (let id = 1; id <= 10; id++) source.put("t", id, `row ${id}`);
  return source;
}

/** The side of the error with which a sync of one table ends. */
async function sideOf(sync: (report: (event: SyncEvent) => void) => Promise<unknown>): Promise<unknown> {
  let side: unknown = "none";
  await sync((event) => {
    if (event.kind === "finished") side = event.error?.side;
  });
  return side;
}

test("an error says which side reported it", async () => {
  const failure = (): HeadwatersError => new HeadwatersError("PRIVILEGE_MISSING", "refused");
  const failures: Record<string, (source: MemorySource) => void> = {
    plan: (source) => vi.spyOn(source, "plan").mockRejectedValue(failure()),
    read: (source) =>
      (source.onOperation = () => {
        throw failure();
      }),
  };
  for (const fail of Object.values(failures)) {
    const source = filled();
    await using copy = await Copy.make();
    fail(source);
    expect(await sideOf((report) => copy.sync(source, {}, report))).toBe("source");
  }
  await using copy = await Copy.make();
  await copy.sync(filled());
  const wrap: NonNullable<Parameters<typeof copy.sync>[1]>["wrap"] = (warehouse) => ({
    ...warehouse,
    async begin(...parameters) {
      const transaction = await warehouse.begin(...parameters);
      transaction.open = async () => {
        throw failure();
      };
      return transaction;
    },
  });
  expect(await sideOf((report) => copy.sync(filled(), { wrap }, report))).toBe("destination");
  expect(await sideOf((report) => copy.sync(filled(), { scope: "another" }, report))).toBeNull();
});

test("what the destination refuses is the destination's", async () => {
  await using copy = await Copy.make();
  await copy.sync(filled());
  await using warehouse = await copy.open();
  await expect(reset({ warehouse }, ["u"], false)).rejects.toMatchObject({
    code: "TABLE_UNKNOWN",
    side: "destination",
  });
  const lease = await warehouse.acquire({ host: "h", pid: 1, since: new Date().toISOString() });
  await expect(copy.sync(filled())).rejects.toMatchObject({ code: "SYNC_RUNNING", side: "destination" });
  await warehouse.release(lease);
});

test("every event has its time, its run and its connection", async () => {
  await using copy = await Copy.make();
  const events: SyncEvent[] = [];
  const run = await copy.sync(filled(), {}, (event) => void events.push(event));
  expect(new Set(events.map(({ kind }) => kind))).toEqual(
    new Set(["selected", "pass", "read", "settling", "committed", "finished"]),
  );
  for (const event of events) expect(event).toMatchObject({ run: run.id, connection: "c" });
  const times = events.map(({ at }) => at);
  expect(times.map((at) => new Date(at).toISOString())).toEqual(times);
  expect([...times].sort()).toEqual(times);
  await using warehouse = await copy.open();
  const verified: VerifyEvent[] = [];
  await verify(copy.connection(filled(), warehouse), { signal }, (event) => void verified.push(event));
  expect(verified.map(({ kind }) => kind)).toContain("verified");
  expect(new Set(verified.map((event) => `${event.connection} ${typeof event.at} ${event.run}`)).size).toBe(1);
});
