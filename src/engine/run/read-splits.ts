import { setMaxListeners } from "node:events";
import type { Pass, Progress, Split } from "../../protocol/pass.ts";
import type { SyncContext } from "./context.ts";
import { type Reached, readSplit, type SplitReading } from "./read-split.ts";

/** What is called while a pass is read. */
export interface PassReading extends Pick<SplitReading, "onSchema" | "onRetry"> {
  onRows(table: string, rows: number, bytes: number, splitsDone: number): void;
}

/**
 * Reads the splits of a pass that are not done, as many at a time as the settings say. The first one that fails stops
 * the others. Resolves to how far each split was read, including splits that were done before.
 */
export async function readSplits(
  pass: Pass,
  progress: readonly Progress[],
  context: SyncContext,
  reading: PassReading,
): Promise<ReadonlyMap<string, Reached>> {
  const { connection, writer, memory, throttle } = context;
  const bySplit = new Map(progress.map((entry) => [entry.split, entry]));
  const reached = new Map(progress.map(({ split, state, asOf = null }): [string, Reached] => [split, { state, asOf }]));
  let splitsDone = progress.filter((entry) => entry.done).length;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  // Every split that is being read listens to it, in several places.
  setMaxListeners(0, signal);
  const readOne = async (split: Split): Promise<void> => {
    const known = bySplit.get(split.id);
    const release = await context.readers.acquire(1, signal);
    try {
      const start = { state: null, asOf: null, ...reached.get(split.id), attempt: (known?.attempt ?? 0) + 1 };
      const last = await readSplit(pass, split, start, {
        source: connection.source,
        writer,
        settings: connection.settings,
        memory,
        throttle,
        signal,
        isMember: context.isMember,
        onRows: (table, rows, bytes) => reading.onRows(table, rows, bytes, splitsDone),
        onSchema: reading.onSchema,
        onRetry: reading.onRetry,
      });
      reached.set(split.id, last);
      splitsDone += 1;
    } catch (thrown) {
      stop.abort(thrown);
      throw thrown;
    } finally {
      release();
    }
  };
  const left = pass.splits.filter((split) => bySplit.get(split.id)?.done !== true).values();
  const readNext = async (): Promise<void> => {
    for (const split of left) await readOne(split);
  };
  const results = await Promise.allSettled(Array.from({ length: connection.settings.parallel }, readNext));
  if (results.some((result) => result.status === "rejected")) {
    context.signal.throwIfAborted();
    throw stop.signal.reason;
  }
  return reached;
}
