import type { ChildProcess } from "node:child_process";
import type { RunRecord } from "../protocol/state-store.ts";
import type { ErrorReport, LogLine, StreamReport, TableProgress } from "./api.ts";
import type { LoadedConnection } from "./host.ts";
import type { Answers, Configuration, FromWorker, Question, Task, ToWorker } from "./messages.ts";

/** A worker's reports about its runs. */
export interface WorkerEvents {
  onRecord(run: string, record: RunRecord): void;
  onProgress(run: string, tables: readonly TableProgress[]): void;
  onLine(run: string, line: LogLine): void;
  onStream(run: string, stream: StreamReport): void;
  /** A table is read whole, since its changes can't be known any more. */
  onLost(run: string, table: string, reason: string): void;
  /** A read of a table failed, and is tried again in the same run. */
  onRetry(run: string, code: string): void;
  /** `died`: its process ended without a message. */
  onEnd(run: string, how: { readonly error: ErrorReport | null; readonly died: boolean }): void;
}

/** A question that a worker could not answer. */
export class Refused extends Error {
  readonly error: ErrorReport;

  constructor(error: ErrorReport) {
    super(error.message);
    this.error = error;
  }
}

/** A worker without work ends after this time, in milliseconds. */
const idle = 60_000;

/** An answer takes at most this long, in milliseconds: counting rows may take its time. */
const mostAnswer = 120_000;

const lost: ErrorReport = {
  code: "CONNECTION_LOST",
  message: "the process that has the destination open ended",
  hint: "Try again: another process is started.",
  remedy: "retry",
};

/** How long they may take to end in good order, in milliseconds; then they are killed. What they committed is kept. */
const mostStopping = 8_000;

/** The processes of all destinations. */
export class Workers {
  readonly #start: () => ChildProcess;
  readonly #events: WorkerEvents;
  readonly #workers = new Map<string, { readonly destination: string; readonly process: WorkerProcess }>();

  constructor(start: () => ChildProcess, events: WorkerEvents) {
    this.#start = start;
    this.#events = events;
  }

  of({ worker, destination: { type, place } }: LoadedConnection): WorkerProcess {
    const known = this.#workers.get(worker);
    if (known !== undefined) return known.process;
    const process = new WorkerProcess(this.#start, this.#events);
    this.#workers.set(worker, { destination: `${type}:${place}`, process });
    return process;
  }

  /** What the processes that are there hold in memory, by destination. */
  memory(): ReadonlyMap<string, number> {
    return new Map(
      [...this.#workers.values()].flatMap(({ destination, process: { residentBytes } }) =>
        residentBytes === null ? [] : [[destination, residentBytes]],
      ),
    );
  }

  async end(): Promise<void> {
    const processes = [...this.#workers.values()].map(({ process }) => process);
    const late = setTimeout(() => {
      for (const process of processes) process.kill();
    }, mostStopping);
    await Promise.all(processes.map((process) => process.end()));
    clearTimeout(late);
  }
}

/** The process that opens one destination. It is started when there is work, and again if it died. */
class WorkerProcess {
  readonly #start: () => ChildProcess;
  readonly #events: WorkerEvents;
  readonly #runs = new Set<string>();
  readonly #asked = new Map<
    number,
    { answer(answer: Answers[keyof Answers]): void; refuse(error: ErrorReport): void }
  >();
  /** Processes that were asked to end: their runs are stopped, and can't say so any more. */
  readonly #ending = new WeakSet<ChildProcess>();
  #child: ChildProcess | null = null;
  #ready: Promise<void> = Promise.resolve();
  #asks = 0;
  #idle: NodeJS.Timeout | null = null;
  #residentBytes: number | null = null;

  constructor(start: () => ChildProcess, events: WorkerEvents) {
    this.#start = start;
    this.#events = events;
  }

  /** What the process holds in memory, as it told last; `null`: there is no process, or it has not told yet. */
  get residentBytes(): number | null {
    return this.#child === null ? null : this.#residentBytes;
  }

  run(
    task: Task,
    limits: { readonly memoryBytes: number | null; readonly keepRuns: number },
    configuration: Configuration,
  ): void {
    this.#runs.add(task.run);
    this.#send({ kind: "run", task, ...limits, configuration });
  }

  stop(run: string): void {
    if (this.#runs.has(run)) this.#send({ kind: "stop", run });
  }

  async ask<Kind extends keyof Answers>(
    connection: string,
    question: Extract<Question, { kind: Kind }>,
    configuration: Configuration,
  ): Promise<Answers[Kind]> {
    const ask = ++this.#asks;
    let late: NodeJS.Timeout | undefined;
    try {
      const answer = await new Promise<Answers[keyof Answers]>((resolve, reject) => {
        const refuse = (error: ErrorReport): void => reject(new Refused(error));
        this.#asked.set(ask, { answer: resolve, refuse });
        late = setTimeout(() => refuse(lost), mostAnswer).unref();
        this.#send({ kind: "ask", ask, connection, question, configuration });
      });
      return answer as Answers[Kind];
    } finally {
      clearTimeout(late);
      this.#asked.delete(ask);
      this.#rest();
    }
  }

  /** Ends the process: runs are stopped, and what is complete is kept. Resolves once it is gone. */
  async end(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    // What comes from now on is for another process.
    if (this.#runs.size + this.#asked.size === 0) this.#child = null;
    this.#ending.add(child);
    const gone = new Promise((resolve) => child.once("exit", resolve));
    if (child.connected) child.disconnect();
    await gone;
  }

  /** For a process that does not end by itself. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  #send(message: ToWorker): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    const child = (this.#child ??= this.#begin());
    // What a process that just ended was sent is made good when its end is seen.
    void this.#ready.then(() => child.connected && child.send(message, () => {}));
  }

  #begin(): ChildProcess {
    const child = this.#start();
    this.#residentBytes = null;
    this.#ready = new Promise((resolve) => {
      child.on("message", (message) => {
        if ((message as FromWorker).kind === "ready") resolve();
        else this.#take(message as Exclude<FromWorker, { kind: "ready" }>);
      });
      child.once("exit", () => resolve());
    });
    let over = false;
    const gone = (): void => {
      if (over) return;
      over = true;
      if (this.#child !== child) return;
      this.#child = null;
      for (const run of this.#runs) this.#events.onEnd(run, { error: null, died: !this.#ending.has(child) });
      this.#runs.clear();
      for (const asked of this.#asked.values()) asked.refuse(lost);
    };
    child.once("exit", gone);
    // It could not be started at all.
    child.once("error", gone);
    return child;
  }

  #take(message: Exclude<FromWorker, { kind: "ready" }>): void {
    switch (message.kind) {
      case "record":
        return this.#events.onRecord(message.run, message.record);
      case "progress":
        return this.#events.onProgress(message.run, message.tables);
      case "line":
        return this.#events.onLine(message.run, message.line);
      case "stream":
        return this.#events.onStream(message.run, message.stream);
      case "lost":
        return this.#events.onLost(message.run, message.table, message.reason);
      case "retry":
        return this.#events.onRetry(message.run, message.code);
      case "memory":
        this.#residentBytes = message.residentBytes;
        return;
      case "ended":
        this.#runs.delete(message.run);
        this.#events.onEnd(message.run, { error: message.error, died: false });
        return this.#rest();
      case "answer":
        return this.#asked.get(message.ask)?.answer(message.answer);
      case "refused":
        return this.#asked.get(message.ask)?.refuse(message.error);
    }
  }

  /** Lets the process go once it has nothing to do for a while. */
  #rest(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    if (this.#runs.size > 0 || this.#asked.size > 0) return;
    this.#idle = setTimeout(() => void this.end(), idle).unref();
  }
}
