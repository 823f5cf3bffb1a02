import { setMaxListeners } from "node:events";
import { waitAfter } from "../../net/retry.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, Split } from "../../protocol/pass.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Semaphore } from "../../toolkit/semaphore.ts";
import type { SyncConnection } from "../connection.ts";
import { retryPolicy } from "./retrying-source.ts";

/** Takes the operations of a split in their order; `null`: the split is done. `signal` ends every wait. */
type Take = (operation: Operation | null, signal: AbortSignal) => Promise<void>;

/**
 * Reads the splits of a pass that is not stored, in parallel; `readers` says how many at a time. After a failure a
 * split goes on from its last checkpoint. `begin` is called for each attempt at a split. The first split that fails for good
 * stops the others.
 */
export async function readAside(
  pass: Pass,
  connection: Pick<SyncConnection, "log" | "source" | "settings">,
  how: Reading,
  readers: Semaphore,
  begin: () => Take,
): Promise<void> {
  const { source, settings } = connection;
  const policy = retryPolicy(connection);
  const stop = new AbortController();
  const reading = { ...how, signal: AbortSignal.any([how.signal, stop.signal]) };
  // Every split listens to it, in several places.
  setMaxListeners(0, reading.signal);
  async function readSplit(split: Split): Promise<void> {
    let state: Json = null;
    for (let attempt = 1; ; attempt++) {
      const take = begin();
      try {
        for await (const operation of source.read(pass, split, state, reading)) {
          await take(operation, reading.signal);
          if (operation.kind === "checkpoint") state = operation.state;
        }
        return await take(null, reading.signal);
      } catch (thrown) {
        await waitAfter(thrown, attempt, pass.tables[0]!.id, reading.signal, policy);
      }
    }
  }
  const left = pass.splits.values();
  const failures: unknown[] = [];
  async function readNext(): Promise<void> {
    for (const split of left) {
      const release = await readers.acquire(1, reading.signal);
      await readSplit(split).finally(release);
    }
  }
  const readOrStop = (): Promise<void> =>
    readNext().catch((thrown: unknown) => {
      failures.push(thrown);
      stop.abort(thrown);
    });
  await Promise.all(Array.from({ length: settings.parallel }, readOrStop));
  if (failures.length === 0) return;
  how.signal.throwIfAborted();
  throw failures[0];
}
