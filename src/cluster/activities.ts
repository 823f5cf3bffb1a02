import { hostname } from "node:os";
import { beginTeamSync, endTeamSync, failTable, type Member, readShare, stepTable } from "../engine/run/member.ts";
import { addCounts, nothingDone } from "../engine/run/counts.ts";
import { sync } from "../engine/run/sync.ts";
import { proofRecord, verify } from "../engine/commands/verify.ts";
import type { Connection } from "../engine/connection.ts";
import { asHeadwatersError, errorCodes, HeadwatersError } from "../protocol/errors.ts";
import type { Warehouse } from "../protocol/destination.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import type { Source } from "../protocol/source.ts";
import type { Activities, Asked, Begun, Ended, TableAsked } from "./contract.ts";

/** A connection as a worker's configuration has it. */
export interface Known {
  readonly fingerprint: string;
  /** What the engine needs besides the two sides, which are opened here. */
  readonly sides: Omit<Connection, "source" | "warehouse">;
  openSource(): Promise<Source>;
  openDestination(): Promise<Warehouse>;
}

export interface Host {
  /** Reads the configuration. Throws where it has no such connection, or it is wrong. */
  find(connection: string): Promise<Known>;
  /** Told of errors, whose texts do not go to Temporal. */
  warn(message: string): void;
  debug(message: string): void;
}

/** What Temporal tells of the attempt that is made. */
export interface Attempt {
  readonly signal: AbortSignal;
  readonly attempt: number;
  /** When the first attempt was asked for: ISO 8601, UTC. */
  readonly began: string;
  /** The id of the workflow that asks. */
  readonly workflow: string;
  /** Without a heartbeat for so long the attempt is given up, in milliseconds. */
  readonly heartbeatTimeout: number;
  heartbeat(): void;
}

/** What an activity throws, as Temporal needs it: a code, and whether another attempt may do better. */
export type Failed = (code: string, retryable: boolean, message: string) => Error;

/** A heartbeat comes so often within its timeout. */
const heartbeats = 6;

/** How often an activity renews the lease, in milliseconds: a team keeps it for two minutes. */
const renewEach = 30_000;

/** A source, and destinations that no activity uses now. */
interface Opened {
  readonly known: Known;
  readonly source: Source;
  readonly idle: Warehouse[];
  users: number;
}

/** What a worker does for workflows. `queue`: the task queue of this process alone. */
export class Work implements AsyncDisposable {
  readonly #host: Host;
  readonly #queue: string;
  readonly #failed: Failed;
  readonly #attempt: () => Attempt;
  /** By the run of a sync: its tables share a source, as in a sync of one process. */
  readonly #opened = new Map<string, Promise<Opened>>();

  constructor(host: Host, queue: string, attempt: () => Attempt, failed: Failed) {
    this.#host = host;
    this.#queue = queue;
    this.#attempt = attempt;
    this.#failed = failed;
  }

  readonly activities: Activities = {
    begin: (asked) =>
      this.#perform(asked, asked.run, 1, async (connection, { began, signal, workflow }): Promise<Begun | "whole"> => {
        const { capabilities, settings, warehouse } = connection;
        if (warehouse.team === undefined || capabilities.together === true) return "whole";
        const holder = { host: `workflow ${workflow} on Temporal`, pid: 0, since: began };
        const { flags, run } = asked;
        const options = { ...flags, id: run, signal };
        const { tables, ...begun } = await beginTeamSync(connection, options, holder);
        const { tables: _, ...rest } = flags;
        return {
          sync: { run, ...begun, flags: rest },
          tables,
          parallel: settings.parallel,
          attempts: settings.attempts,
        };
      }),
    syncWhole: (asked) =>
      this.#perform(asked, asked.run, 1, async (connection, { signal }) => {
        const record = await sync(connection, { ...asked.flags, id: asked.run, signal }, () => {});
        return endedOf(record);
      }),
    stepTable: (asked) =>
      this.#onTable(asked, async (member) => ({
        ...(await stepTable(member, asked.table, asked.counts, asked.read)),
        holder: this.#queue,
      })),
    readShare: (asked) =>
      this.#onTable(asked, async (member) => {
        const began = performance.now();
        let counts = nothingDone;
        const left = [...asked.places];
        while (left.length > 0 && performance.now() - began < asked.time) {
          const places = left.splice(0, 1);
          const share = await readShare(member, asked.table, { pass: asked.pass, places });
          counts = addCounts(counts, share.counts);
          if (share.again !== null) return { counts, left: [], again: { ...share.again, holder: this.#queue } };
        }
        return { counts, left, again: null };
      }),
    hold: async (asked) => {
      // What the pass was planned with is closed: a source that is opened now keeps nothing of it.
      const opened = await this.#opened.get(asked.run);
      if (opened === undefined) throw this.#failed("CONNECTION_LOST", false, "the snapshot is gone");
      const { signal, heartbeat, heartbeatTimeout } = this.#attempt();
      const timer = setInterval(heartbeat, heartbeatTimeout / heartbeats);
      opened.users += 1;
      try {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      } finally {
        clearInterval(timer);
        await opened.source.release?.([asked.table]);
        await this.#leave(asked.run, opened);
      }
      signal.throwIfAborted();
    },
    failTable: (asked) => this.#onTable(asked, (member) => failTable(member, asked.table, asked.counts)),
    end: (asked) =>
      this.#perform(asked, asked.sync.run, 1, async (connection, { signal }) => {
        const member: Member = { connection, sync: asked.sync, signal, isLast: false, report: () => {} };
        return endedOf(await endTeamSync(member, asked.stopped));
      }),
    verify: (asked) =>
      this.#perform(asked, asked.run, 1, async (connection, { began, signal }) => {
        const { warehouse, withoutSecrets = String } = connection;
        const run = { id: asked.run, kind: "verify", trigger: "schedule", started: began } as const;
        try {
          const report = await verify(connection, { id: run.id, signal }, () => {});
          await warehouse.keep(proofRecord(run, report));
          return { verdict: report.verdict };
        } catch (thrown) {
          const { code, message, hint } = asHeadwatersError(thrown);
          const error = { code, message: withoutSecrets(message), hint };
          const failed = { ...run, ended: new Date().toISOString(), outcome: "failed", tables: [], error } as const;
          await warehouse.keep(failed).catch((failure: unknown) => {
            this.#host.warn(
              `${asked.connection}: the record could not be stored: ${asHeadwatersError(failure).message}`,
            );
          });
          throw thrown;
        }
      }),
  };

  #onTable<Result>(asked: TableAsked, work: (member: Member) => Promise<Result>): Promise<Result> {
    const { sync } = asked;
    return this.#perform(asked, sync.run, asked.parallel, async (connection, { signal, attempt }) => {
      const isLast = attempt >= asked.attempts;
      const team = connection.warehouse.team!;
      // Long work would outlive the lease. Who has lost it is refused by the next commit.
      const renewing = setInterval(() => void team.renew(sync.lease).catch(() => {}), renewEach);
      try {
        return await work({ connection, sync, signal, isLast, report: () => {} });
      } catch (thrown) {
        const error = asHeadwatersError(thrown);
        if (error.code !== "LEASE_LOST") throw error;
        // Refused at one split or table, while the team has its lease: what is stored has gone on meanwhile.
        await team.renew(sync.lease);
        throw new HeadwatersError("WRITE_CONFLICT", error.message, { cause: error });
      } finally {
        clearInterval(renewing);
      }
    });
  }

  /** Opens a connection for an activity, and tells Temporal that it is at work. */
  async #perform<Result>(
    asked: Asked,
    run: string,
    parallel: number,
    work: (connection: Connection, attempt: Attempt) => Promise<Result>,
  ): Promise<Result> {
    const attempt = this.#attempt();
    const timer = setInterval(attempt.heartbeat, attempt.heartbeatTimeout / heartbeats);
    try {
      const opened = await this.#openedFor(asked, run);
      opened.users += 1;
      const warehouse = opened.idle.pop() ?? (await opened.known.openDestination());
      try {
        const { sides } = opened.known;
        const result = await work(
          { ...sides, settings: shared(sides.settings, parallel), source: opened.source, warehouse },
          attempt,
        );
        // A destination of one writer, such as a file, is for others now.
        if (warehouse.team === undefined) await warehouse[Symbol.asyncDispose]();
        else opened.idle.push(warehouse);
        return result;
      } catch (thrown) {
        // What is left of a transaction goes with its sessions. If those were lost, the others were too.
        const lost = [warehouse, ...opened.idle.splice(0)];
        await Promise.allSettled(lost.map((one) => one[Symbol.asyncDispose]()));
        throw thrown;
      } finally {
        await this.#leave(run, opened);
      }
    } catch (thrown) {
      const error = asHeadwatersError(thrown);
      if (attempt.signal.aborted)
        this.#host.debug(`${asked.connection}: an abandoned attempt ended: ${error.message} (${error.code})`);
      attempt.signal.throwIfAborted();
      this.#host.warn(`${asked.connection}: ${error.message} (${error.code})`);
      const mayPass = errorCodes[error.code][0] === "retry" && !belongsToOthers.has(error.code);
      throw this.#failed(error.code, mayPass, textOf(error));
    } finally {
      clearInterval(timer);
    }
  }

  async #openedFor({ connection, fingerprint }: Asked, run: string): Promise<Opened> {
    const known = this.#opened.get(run);
    if (known !== undefined) return known;
    const opening = this.#open(connection, fingerprint);
    this.#opened.set(run, opening);
    opening.catch(() => this.#opened.delete(run));
    return opening;
  }

  async #open(connection: string, fingerprint: string): Promise<Opened> {
    const known = await this.#host.find(connection);
    if (known.fingerprint !== fingerprint) throw otherConfiguration(connection, fingerprint, known.fingerprint);
    return { known, source: await known.openSource(), idle: [], users: 0 };
  }

  /** Sessions are kept while the sync uses this worker. */
  async #leave(run: string, opened: Opened): Promise<void> {
    opened.users -= 1;
    if (opened.users > 0) return;
    setTimeout(() => {
      if (opened.users === 0 && this.#opened.delete(run)) void close(opened).catch(() => {});
    }, keptFor).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#opened.values()) await opening.then(close, () => {});
    this.#opened.clear();
  }
}

/** Another sync has the connection: no attempt of this one does better. */
const belongsToOthers: ReadonlySet<string> = new Set(["SYNC_RUNNING", "LEASE_LOST"]);

/** A source and its sessions stay open for so long without an activity, in milliseconds. */
const keptFor = 10_000;

async function close({ source, idle }: Opened): Promise<void> {
  for (const warehouse of idle) await warehouse[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
}

/** The source's limits hold for all workers together: each share may have its part of them. */
function shared(settings: Connection["settings"], parallel: number): Connection["settings"] {
  if (parallel === 1) return settings;
  const { maxRowsPerSecond, commitRows } = settings;
  return {
    ...settings,
    parallel: 1,
    commitRows: Math.min(commitRows ?? Infinity, mostRows),
    maxRowsPerSecond: maxRowsPerSecond === null ? null : Math.max(1, maxRowsPerSecond / parallel),
  };
}

/** A member numbers the rows of a transaction: it may have some four million. */
const mostRows = 1 << 20;

function otherConfiguration(connection: string, asked: string, own: string): HeadwatersError {
  return new HeadwatersError(
    "CONFIGURATION_INVALID",
    `connection "${connection}" differs between the worker on ${hostname()} (${own}) and the place where the sync was started (${asked})`,
    { hint: "Give all workers the same headwaters.yaml, and restart them." },
  );
}

/** Only the texts of our own that hold nothing of a source or a destination go to Temporal. */
function textOf(error: HeadwatersError): string {
  const isOurs = error.code === "SYNC_RUNNING" || (error.code === "CONFIGURATION_INVALID" && error.side === null);
  return isOurs ? error.message : error.code;
}

function endedOf({ outcome, tables }: RunRecord): Ended {
  const count = (wanted: string): number => tables.filter((table) => table.outcome === wanted).length;
  const ended = outcome === "succeeded" || outcome === "failed" ? outcome : "stopped";
  return { outcome: ended, whole: count("whole"), failed: count("failed") };
}
