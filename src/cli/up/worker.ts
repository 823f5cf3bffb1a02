import process from "node:process";
import { Command } from "commander";
import { copiesOf } from "../../engine/commands/status.ts";
import { SyncProgress } from "../../engine/progress.ts";
import { asHeadwatersError } from "../../protocol/errors.ts";
import type { SyncEvent } from "../../engine/events.ts";
import type { StreamReport, TableProgress } from "../../service/api.ts";
import type { Answers, Configuration, FromWorker, Question, Task, ToWorker } from "../../service/messages.ts";
import { unheard } from "../../service/following.ts";
import { errorReport, progressReport, tableReport } from "../../service/reports.ts";
import { readConnections, type Request } from "../configuration/load.ts";
import { withEnvFile } from "../configuration/env-file.ts";
import { type ConfiguredConnection, type RawConnection, resolveConnection } from "../configuration/resolve.ts";
import { openWarehouse } from "../connect.ts";
import type { Environment } from "../environment.ts";
import { recordedFollow, recordedSync, recordedVerify, recordInvalid, type RunContext } from "../recorded.ts";
import { runCommand, type Session } from "../session.ts";
import type { StartFlags } from "../temporal/sync.ts";

/** How often the progress of a run is told, in milliseconds. */
const progressInterval = 250;

/** How often it is told how a stream stands, in milliseconds. */
const streamInterval = 1_000;

/** The time between two reports of the process's memory, in milliseconds. */
const memoryInterval = 10_000;

/** A worker whose service is gone ends within this time, in milliseconds. What is committed is kept. */
const mostStopping = 4_000;

/**
 * `headwaters up-worker`, which `headwaters up` starts for each destination: it alone opens it. It is told what to do by
 * messages of its parent, and ends with it.
 */
export function workerCommand(environment: Environment): Command {
  return new Command("up-worker")
    .description("Does the work of `headwaters up` for one destination. Nobody else starts it.")
    .option("--on <engine>", "has workers sync what is not followed")
    .action(({ on }: { readonly on?: string }) =>
      runCommand(environment, { quiet: true }, (session) => new Worker(session, on === "temporal").run()),
    );
}

class Worker {
  readonly #session: Session;
  readonly #isOnTemporal: boolean;
  readonly #runs = new Map<string, AbortController>();
  readonly #gone = new AbortController();

  constructor(session: Session, isOnTemporal: boolean) {
    this.#session = session;
    this.#isOnTemporal = isOnTemporal;
  }

  /** Resolves once the parent is gone, or the process was asked to stop, and no run is under way. */
  async run(): Promise<"ok"> {
    const { signal, environment } = this.#session;
    const over = new Promise<void>((resolve) => {
      const end = (): void => {
        for (const run of this.#runs.values()) run.abort();
        resolve();
      };
      signal.addEventListener("abort", end);
      this.#gone.signal.addEventListener("abort", () => {
        setTimeout(() => environment.exit(1), mostStopping).unref();
        end();
      });
    });
    process.on("disconnect", () => this.#gone.abort());
    process.on("message", (message) => this.#take(message as ToWorker));
    if (process.connected !== true) this.#gone.abort();
    this.#tell({ kind: "ready" });
    const tellMemory = (): void => this.#tell({ kind: "memory", residentBytes: process.memoryUsage.rss() });
    tellMemory();
    const timer = setInterval(tellMemory, memoryInterval);
    await over;
    clearInterval(timer);
    while (this.#runs.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    if (process.connected === true) process.disconnect();
    return "ok";
  }

  #tell(message: FromWorker): void {
    if (process.connected !== true) return;
    // The parent may be gone before its channel is closed.
    process.send!(this.#session.output.redactor.json(message), undefined, undefined, () => {});
  }

  #take(message: ToWorker): void {
    if (message.kind === "stop") this.#runs.get(message.run)?.abort();
    else if (message.kind === "ask") void this.#answer(message);
    else void this.#make(message);
  }

  async #make({ task, memoryBytes, keepRuns, configuration }: Extract<ToWorker, { kind: "run" }>): Promise<void> {
    const stop = new AbortController();
    this.#runs.set(task.run, stop);
    if (this.#session.signal.aborted || this.#gone.signal.aborted) stop.abort();
    const { run } = task;
    const { environment, log, output } = this.#session;
    let context: RunContext = {
      log,
      redactor: output.redactor,
      variables: environment.variables,
      signal: stop.signal,
      keepRuns,
      onLine: (line) => this.#tell({ kind: "line", run, line }),
      onAttempt: (record) => this.#tell({ kind: "record", run, record }),
    };
    let raw: RawConnection | undefined;
    let resolved = false;
    try {
      [raw] = await readConnections(requestFor(task.connection, configuration), configuration);
      context = { ...context, variables: await withEnvFile(raw!.folders.destination, environment.variables) };
      const connection = await resolveConnection(raw!, context.variables, output.redactor);
      resolved = true;
      await this.#perform(task, context, limited(connection, memoryBytes), configuration.file);
      this.#tell({ kind: "ended", run, error: null });
    } catch (thrown) {
      const { kind, trigger } = task;
      if (!resolved && raw !== undefined) recordInvalid(context, raw, { id: run, kind, trigger }, thrown);
      this.#tell({ kind: "ended", run, error: errorReport(asHeadwatersError(thrown)) });
    } finally {
      this.#runs.delete(run);
    }
  }

  async #perform(task: Task, context: RunContext, connection: ConfiguredConnection, file: string): Promise<void> {
    const { run: id, trigger, tables, kind } = task;
    const progress = new SyncProgress(performance.now());
    const told = new Map<string, string>();
    const tell = (): void => {
      const now = performance.now();
      const changed: TableProgress[] = [];
      for (const table of progress.tables.values()) {
        const report = progressReport(table, kind === "verify", now);
        const text = JSON.stringify(report);
        if (told.get(report.table) !== text) changed.push(report);
        told.set(report.table, text);
      }
      if (changed.length > 0) this.#tell({ kind: "progress", run: id, tables: changed });
    };
    const timer = setInterval(tell, progressInterval);
    const onEvent = (event: SyncEvent): void => {
      progress.apply(event, performance.now());
      if (event.kind === "retry") this.#tell({ kind: "retry", run: id, code: event.error.code });
      if (event.kind === "lost") this.#tell({ kind: "lost", run: id, table: event.table, reason: event.reason });
    };
    try {
      if (kind === "follow") {
        await this.#follow(task, context, connection, onEvent);
      } else if (kind === "verify") {
        await recordedVerify(context, connection, { id, trigger, tables }, (event) =>
          progress.applyVerify(event, performance.now()),
        );
      } else {
        const { sweep = false, full = false, acceptScope = false, acceptDeletes = false } = task;
        const flags = { trigger, tables, sweep, full, acceptScope, acceptDeletes };
        if (this.#isOnTemporal && connection.service.schedule !== "follow")
          await this.#haveSynced(id, connection, file, flags, context.signal, onEvent);
        else await recordedSync(context, connection, { id, ...flags }, onEvent, async () => {});
      }
    } finally {
      clearInterval(timer);
      tell();
    }
  }

  /** Has workers of Temporal make a sync. It outlives this process, unless a person stops it. */
  async #haveSynced(
    run: string,
    connection: ConfiguredConnection,
    file: string,
    flags: StartFlags,
    signal: AbortSignal,
    onEvent: (event: SyncEvent) => void,
  ): Promise<void> {
    const session = this.#session;
    const { Progress, recordOf, startOnTemporal } = await import("../temporal/sync.ts");
    await using started = await startOnTemporal(session, file, connection.name, flags);
    const origin = { run: started.run, connection: connection.name };
    const progress = new Progress((happening) => onEvent({ at: new Date().toISOString(), ...origin, ...happening }));
    const ended = await started.watch((tables) => progress.take(tables), signal);
    if (ended === "left") {
      if (session.signal.aborted || this.#gone.signal.aborted) return;
      await started.cancel();
      await started.watch(() => {}, new AbortController().signal);
    }
    this.#tell({ kind: "record", run, record: await recordOf(session, connection, started.run) });
  }

  async #follow(
    { run, trigger, tables }: Task,
    context: RunContext,
    connection: ConfiguredConnection,
    onEvent: (event: SyncEvent) => void,
  ): Promise<void> {
    let stream: StreamReport = unheard;
    let told = stream;
    const tell = (): void => {
      if (stream !== told) this.#tell({ kind: "stream", run, stream });
      told = stream;
    };
    const timer = setInterval(tell, streamInterval);
    try {
      await recordedFollow(context, connection, { id: run, trigger, tables }, (event) => {
        onEvent(event);
        if (event.kind !== "followed") return;
        const { position, bytes, limit } = event.kept ?? { position: null, bytes: null, limit: null };
        stream = { lag: event.lag ?? stream.lag, position, retainedBytes: bytes, retainedLimit: limit };
      });
    } finally {
      clearInterval(timer);
    }
  }

  async #answer({ ask, connection, question, configuration }: Extract<ToWorker, { kind: "ask" }>): Promise<void> {
    try {
      this.#tell({ kind: "answer", ask, answer: await this.#find(connection, question, configuration) });
    } catch (thrown) {
      this.#tell({ kind: "refused", ask, error: errorReport(asHeadwatersError(thrown)) });
    }
  }

  async #find(name: string, question: Question, configuration: Configuration): Promise<Answers[keyof Answers]> {
    const { environment, output, log, withoutSecrets } = this.#session;
    const [raw] = await readConnections(requestFor(name, configuration), configuration);
    const variables = await withEnvFile(raw!.folders.destination, environment.variables);
    const connection = await resolveConnection(raw!, variables, output.redactor);
    const options = { log, withoutSecrets, signal: this.#gone.signal };
    await using warehouse = await openWarehouse(connection, options, false);
    if (question.kind === "runs") return await warehouse.runs(question.limit, question.which);
    const { recount, changes } = question;
    const copies = await copiesOf(warehouse, (table) => recount === null || recount.includes(table));
    return {
      tables: copies.map(({ table, state, rows, open }) => tableReport(table, state, { rows, open })),
      changes: await warehouse.schemaChanges(changes),
    };
  }
}

function requestFor(connection: string, { file }: Configuration): Request {
  return { names: [connection], file };
}

/** The connection with no more memory than the service gives it. */
function limited(connection: ConfiguredConnection, memoryBytes: number | null): ConfiguredConnection {
  const { settings } = connection;
  if (memoryBytes === null || settings.memoryBytes <= memoryBytes) return connection;
  return { ...connection, settings: { ...settings, memoryBytes } };
}
