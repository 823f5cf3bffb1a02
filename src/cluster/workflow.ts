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
import type {
  Activities,
  Begun,
  Ended,
  Step,
  SyncRequest,
  TableAsked,
  TableProgress,
  Verified,
  VerifyRequest,
} from "./contract.ts";

/*
 * One sync, or one verify. This file runs inside Temporal's sandbox, again and again from the start: it holds no clock, no chance and no
 * input but what Temporal gives. A change of the order in which it asks for something breaks syncs that are under way.
 */

/** The shares of the passes that are read at the same time: so many activities they cost, whatever their size. */
const mostShares = 1_024;

/** The shares of one pass, at most. */
const mostSharesEach = 256;

/** A share ends by itself after this time, in milliseconds. Of a pass that takes long, later shares take longer. */
const shareTime = 180_000;

/** A merge, or a table that one worker reads, may take longer than a share. */
const longest = "24 hours";

const progressQuery = defineQuery<readonly TableProgress[], [since: number]>("progress");

/** The tables of one answer, at most: Temporal takes 2 MB. */
const mostTold = 1_000;

/** How far the tables are, in the order of their changes. */
class ProgressLog {
  readonly #tables = new Map<string, TableProgress>();
  /** Goes on after those of earlier histories. */
  #change = workflowInfo().startTime.getTime();

  set(progress: Omit<TableProgress, "change">): void {
    this.#tables.delete(progress.table);
    this.#tables.set(progress.table, { ...progress, change: ++this.#change });
  }

  since(last: number): readonly TableProgress[] {
    return [...this.#tables.values()].filter(({ change }) => change > last).slice(0, mostTold);
  }
}

/** What is not about one table is tried so often. */
const mostAttempts = 20;

function retrying(heartbeatTimeout: number, maximumAttempts: number): Activities {
  return proxyActivities<Activities>({
    startToCloseTimeout: longest,
    heartbeatTimeout,
    retry: { initialInterval: "1 second", maximumInterval: "30 seconds", maximumAttempts },
  });
}

export async function syncConnection(request: SyncRequest): Promise<Ended> {
  const progress = new ProgressLog();
  setHandler(progressQuery, (since) => progress.since(since));
  const { connection, fingerprint, heartbeatTimeout } = request;
  const once = retrying(heartbeatTimeout, mostAttempts);
  const asked = { ...request, run: workflowInfo().runId };
  const begun = request.begun ?? (await once.begin(asked));
  if (begun === "whole") return once.syncWhole(asked);
  const { sync } = begun;
  const left = [...begun.tables];
  const end = (stopped: boolean): Promise<Ended> =>
    CancellationScope.nonCancellable(() => once.end({ connection, fingerprint, sync, stopped }));
  try {
    const slots = new Slots(begun.parallel);
    const work = async (): Promise<void> => {
      while (left.length > 0 && !workflowInfo().continueAsNewSuggested)
        await syncTable(left.shift()!, request, begun, slots, progress);
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

export async function verifyConnection(request: VerifyRequest): Promise<Verified> {
  return retrying(request.heartbeatTimeout, mostAttempts).verify({ ...request, run: workflowInfo().runId });
}

async function syncTable(
  table: string,
  { connection, fingerprint, heartbeatTimeout }: SyncRequest,
  { sync, parallel, attempts }: Begun,
  slots: Slots,
  progress: ProgressLog,
): Promise<void> {
  const activities = retrying(heartbeatTimeout, attempts);
  let counts: Counts = nothingDone;
  const about = (): TableAsked => ({ connection, fingerprint, sync, table, attempts, parallel, counts });
  const tell = (outcome: TableProgress["outcome"], splits = 0, splitsDone = 0): void => {
    const pass = counts.passes.at(-1) ?? null;
    progress.set({ table, outcome, pass, splits, splitsDone, counts });
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
      const read = await readShares(step, about, heartbeatTimeout, activities, slots, (more, done) => {
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
    const isOfSync = isLost(thrown) || codeOf(thrown) === "CONFIGURATION_INVALID";
    if (isCancellation(thrown) || isOfSync || !(thrown instanceof ActivityFailure)) throw thrown;
    // Every attempt was lost with its worker: a table that kills workers fails alone.
    await retrying(heartbeatTimeout, mostAttempts).failTable(about());
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
  heartbeatTimeout: number,
  activities: Activities,
  slots: Slots,
  onShare: (counts: Counts, done: number) => void,
): Promise<SharesRead> {
  const { pass, left } = reading!;
  const { connection, fingerprint, sync, table, parallel } = about();
  const { hold } = proxyActivities<Activities>({
    taskQueue: holder,
    startToCloseTimeout: "30 days",
    // If that process is gone, nobody else can keep it.
    scheduleToStartTimeout: heartbeatTimeout,
    heartbeatTimeout,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 1 },
  });
  let isOneSnapshot = true;
  let again: Step | null = null;
  let done = 0;
  const count = Math.min(mostSharesEach, Math.max(parallel, Math.floor(mostShares / parallel)));
  const shares = cut(left, Math.ceil(left.length / count));
  let ended = 0;
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
      const time = shareTime * 2 ** Math.floor(ended / count);
      const share = await slots.use(() => activities.readShare({ ...about(), pass, places: rest, time }));
      ended += 1;
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
  return codeOf(thrown) === "LEASE_LOST";
}

/** The code of an error that ended an activity, whatever the attempt. */
function codeOf(thrown: unknown): string | null {
  const cause = thrown instanceof ActivityFailure ? thrown.cause : null;
  return cause instanceof ApplicationFailure && cause.nonRetryable === true ? (cause.type ?? null) : null;
}
