import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  continueAsNew,
  defineQuery,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { addCounts, type Counts, nothingDone } from "../engine/run/counts.ts";
import type { Activities, Asked, Begun, Ended, Step, SyncRequest, TableAsked, TableProgress } from "./contract.ts";

/*
 * One sync. This file runs inside Temporal's sandbox, again and again from the start: it holds no clock, no chance and no
 * input but what Temporal gives. A change of the order in which it asks for something breaks syncs that are under way.
 */

/** The shares of a pass, at most: so many activities it costs, whatever its size. */
const mostShares = 256;

/** A worker that is silent for longer is given up. */
const silence = "30 seconds";

/** A share ends by itself after some minutes; a merge, or a table read by one worker, may take longer. */
const longest = "24 hours";

const progressQuery = defineQuery<readonly TableProgress[]>("progress");

const once = proxyActivities<Activities>({
  startToCloseTimeout: longest,
  heartbeatTimeout: silence,
  retry: { initialInterval: "1 second", maximumInterval: "1 minute", maximumAttempts: 20 },
});

function retrying(attempts: number): Activities {
  return proxyActivities<Activities>({
    startToCloseTimeout: longest,
    heartbeatTimeout: silence,
    retry: { initialInterval: "1 second", maximumInterval: "30 seconds", maximumAttempts: attempts },
  });
}

export async function syncConnection(request: SyncRequest): Promise<Ended> {
  const progress = new Map<string, TableProgress>();
  setHandler(progressQuery, () => [...progress.values()]);
  const { connection, fingerprint } = request;
  const begun = request.begun ?? (await once.begin(request));
  if (begun === "whole") return once.syncWhole(request);
  const { sync } = begun;
  const left = [...begun.tables];
  const end = (stopped: boolean): Promise<Ended> =>
    CancellationScope.nonCancellable(() => once.end({ connection, fingerprint, sync, stopped }));
  try {
    const slots = new Slots(begun.parallel);
    const work = async (): Promise<void> => {
      while (left.length > 0 && !workflowInfo().continueAsNewSuggested)
        await syncTable(left.shift()!, { connection, fingerprint }, begun, slots, progress);
    };
    await Promise.all(Array.from({ length: begun.parallel }, work));
  } catch (thrown) {
    if (isLost(thrown)) throw ApplicationFailure.nonRetryable("LEASE_LOST", "LEASE_LOST");
    await end(true);
    throw thrown;
  }
  if (left.length > 0) return continueAsNew<typeof syncConnection>({ ...request, begun: { ...begun, tables: left } });
  return end(false);
}

async function syncTable(
  table: string,
  asked: Asked,
  { sync, parallel, attempts }: Begun,
  slots: Slots,
  progress: Map<string, TableProgress>,
): Promise<void> {
  const activities = retrying(attempts);
  let counts: Counts = nothingDone;
  const about = (): TableAsked => ({ ...asked, sync, table, attempts, parallel, counts });
  const tell = (outcome: TableProgress["outcome"], splits = 0, splitsDone = 0): void => {
    const pass = counts.passes.at(-1) ?? null;
    progress.set(table, { table, outcome, pass, splits, splitsDone, counts });
  };
  try {
    let step = await slots.use(() => activities.stepTable({ ...about(), read: null }));
    for (;;) {
      counts = step.counts;
      const { reading } = step;
      if (reading === null) return tell(step.outcome);
      const { left, course, pass } = reading;
      tell("running", left.length, 0);
      const began = Date.now();
      const read = await readShares(step, about, activities, slots, (more, done) => {
        counts = addCounts(counts, more);
        tell("running", left.length, done);
      });
      if (read.again !== null) {
        step = { ...read.again, counts: addCounts(counts, read.again.counts) };
        continue;
      }
      const milliseconds = Date.now() - began;
      const { isOneSnapshot } = read;
      step = await slots.use(() =>
        activities.stepTable({ ...about(), read: { pass, course, milliseconds, isOneSnapshot } }),
      );
    }
  } catch (thrown) {
    if (isCancellation(thrown) || isLost(thrown) || !(thrown instanceof ActivityFailure)) throw thrown;
    // Every attempt was lost with its worker: a table that kills workers fails alone.
    await once.failTable(about());
    tell("failed");
  }
}

interface SharesRead {
  /** The table was planned again. */
  readonly again: Step | null;
  /** The process that planned the pass kept its snapshot to the end. */
  readonly isOneSnapshot: boolean;
}

/** Shares out the splits of a pass. The first share that fails stops the others. */
async function readShares(
  { reading, holder }: Step,
  about: () => TableAsked,
  activities: Activities,
  slots: Slots,
  onShare: (counts: Counts, done: number) => void,
): Promise<SharesRead> {
  const { pass, left } = reading!;
  const { connection, fingerprint, sync, table } = about();
  const { hold } = proxyActivities<Activities>({
    taskQueue: holder,
    startToCloseTimeout: "30 days",
    // If that process is gone, nobody else can keep it.
    scheduleToStartTimeout: silence,
    heartbeatTimeout: silence,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 1 },
  });
  let isOneSnapshot = true;
  let again: Step | null = null;
  let done = 0;
  const shares = cut(left, Math.ceil(left.length / mostShares));
  const keeping = new CancellationScope();
  const kept = keeping
    .run(() => hold({ connection, fingerprint, run: sync.run, table }))
    .then(
      () => void (isOneSnapshot = false),
      (thrown: unknown) => {
        if (!isCancellation(thrown)) isOneSnapshot = false;
      },
    );
  const scope = new CancellationScope();
  const readOne = async (places: readonly number[]): Promise<void> => {
    for (let rest = places; rest.length > 0;) {
      const share = await slots.use(() => activities.readShare({ ...about(), pass, places: rest }));
      if (share.again !== null) {
        again = share.again;
        return scope.cancel();
      }
      done += rest.length - share.left.length;
      onShare(share.counts, done);
      rest = share.left;
    }
  };
  try {
    await scope.run(() => Promise.all(shares.map(readOne)));
  } catch (thrown) {
    scope.cancel();
    // The others are refused by the destination: their pass is no longer open.
    if (again === null || !isCancellation(thrown)) throw thrown;
  } finally {
    keeping.cancel();
    await CancellationScope.nonCancellable(() => kept);
  }
  return { again, isOneSnapshot };
}

/** What the team's members may do at the same time, over all tables: the source's limits are for all workers together. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async use<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

function cut(places: readonly number[], size: number): readonly (readonly number[])[] {
  const count = Math.ceil(places.length / size);
  return Array.from({ length: count }, (_, index) => places.slice(index * size, (index + 1) * size));
}

/** Another sync took the lease over: nothing more can be written. */
function isLost(thrown: unknown): boolean {
  return (
    thrown instanceof ActivityFailure &&
    thrown.cause instanceof ApplicationFailure &&
    thrown.cause.type === "LEASE_LOST" &&
    thrown.cause.nonRetryable === true
  );
}
