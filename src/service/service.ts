import { randomUUID } from "node:crypto";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { SchemaChange } from "../protocol/readable.ts";
import type { Trigger } from "../protocol/state-store.ts";
import type { Action, ConnectionReport, ErrorReport, ServiceEvent } from "./api.ts";
import { Alerts, deliver, testAlert } from "./alerts.ts";
import { Archive } from "./archive.ts";
import { fruitless, nextSync, nextVerify } from "./due.ts";
import { EventLog } from "./event-log.ts";
import type { Host, Loaded, LoadedConnection, Remembered } from "./host.ts";
import type { Answers, Question, Task } from "./messages.ts";
import { errorReport, runReport } from "./reports.ts";
import { type Active, connectionReport, endOf, later, newest, readRuns, underWay, type Unit } from "./unit.ts";
import { WorkerProcess } from "./workers.ts";

/** How often it is looked whether something is due, or the file has changed, in milliseconds. */
const tickInterval = 500;
const fileInterval = 2_000;

/** How long stopping may take, in milliseconds; then workers are killed. What they committed is kept. */
const mostStopping = 8_000;

/** So many changes of schemas are known. */
const mostSchemaChanges = 500;

/** What a person asked for can't be done now, or not in this way. */
export class Unfit extends Error {}

/** What came of an action. */
export interface Done {
  readonly run: string | null;
  readonly says: string;
}

/** Runs the connections of a file by their schedules, each in the process of its destination. */
export class Service implements AsyncDisposable {
  readonly started: string;
  readonly events = new EventLog();
  readonly archive: Archive;
  readonly #host: Host;
  readonly #units = new Map<string, Unit>();
  readonly #workers = new Map<string, WorkerProcess>();
  /** Runs that wait, by connection; those that a person asked for come first. */
  #queue: Unit[] = [];
  #loaded: Loaded;
  #text: string;
  #configurationError: ErrorReport | null = null;
  #remembered: Remembered;
  readonly #alerts: Alerts;
  readonly #over = new AbortController();
  readonly #shown = new Map<string, string>();
  #ticks: NodeJS.Timeout | null = null;
  #files: NodeJS.Timeout | null = null;
  #stopping = false;

  private constructor(host: Host, loaded: Loaded, text: string) {
    this.#host = host;
    this.#loaded = loaded;
    this.#text = text;
    this.started = new Date(host.now()).toISOString();
    this.archive = new Archive(this.#units, host, {
      stored: async (unit, which, limit) => (await this.#asked(unit, { kind: "runs", which, limit })) ?? [],
      look: (unit) => (unit.looking ??= this.#lookAt(unit, null)),
    });
    this.#remembered = host.memory.load();
    this.#alerts = new Alerts(host.log, this.#over.signal, this.#remembered.told, (told) => this.#remember({ told }));
    for (const connection of loaded.connections) this.#add(connection);
  }

  static async open(host: Host): Promise<Service> {
    const text = await host.text();
    return new Service(host, await host.load(), text);
  }

  get settings(): Loaded["settings"] {
    return this.#loaded.settings;
  }

  get file(): string {
    return this.#loaded.configuration.file;
  }

  get configurationError(): ErrorReport | null {
    return this.#configurationError;
  }

  get version(): string {
    return this.#host.version;
  }

  /** Begins to work. */
  start(): void {
    for (const unit of this.#units.values()) void this.#lookAt(unit, null);
    this.#ticks = setInterval(() => this.#tick(), tickInterval);
    this.#files = setInterval(() => {
      void this.#readFile();
      this.#readRuns();
    }, fileInterval);
    this.#tick();
  }

  connections(): readonly ConnectionReport[] {
    return [...this.#units.values()].map((unit) => connectionReport(unit, this.#host.now()));
  }

  /** `null`: there is no such connection; likewise below. */
  connection(name: string): ConnectionReport | null {
    const unit = this.#units.get(name);
    return unit === undefined ? null : connectionReport(unit, this.#host.now());
  }

  /** Sends a test to a webhook. Resolves to what came of it; `null`: there is no such one. */
  async testAlert(name: string): Promise<string | null> {
    const { alerts } = this.settings;
    if (!Object.hasOwn(alerts, name)) return null;
    try {
      await deliver(alerts[name]!, testAlert(), this.#over.signal, 1);
      return `The test was sent to ${name}.`;
    } catch (thrown) {
      throw new Unfit(`The test could not be sent to ${name}: ${asHeadwatersError(thrown).message}.`);
    }
  }

  progress(name: string) {
    const unit = this.#units.get(name);
    return unit === undefined ? null : [...(unit.active?.progress.values() ?? [])];
  }

  /** Throws {@link Unfit}. `null`: there is no such connection. */
  act(name: string, action: Action): Done | null {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    switch (action.action) {
      case "sync": {
        const { tables = [], sweep = false, full = false } = action;
        return this.#ask(unit, { kind: "sync", tables, sweep, full });
      }
      case "verify":
        return this.#ask(unit, { kind: "verify", tables: action.tables ?? [] });
      case "stop":
        return this.#stop(unit);
      case "pause":
        this.#pause(unit, true);
        return { run: null, says: `${name} is paused: it runs only when a person asks.` };
      case "resume":
        this.#pause(unit, false);
        return { run: null, says: `${name} runs by its schedule again.` };
      case "accept-deletes": {
        const { table, gone, of } = action;
        const held = unit.tables?.find((one) => one.table === table)?.held ?? null;
        if (held === null) throw new Unfit(`No deletes of table "${table}" are held back.`);
        if (held.gone !== gone || held.of !== of)
          throw new Unfit(`Other deletes of table "${table}" are held back now: ${held.gone} of ${held.of} rows.`);
        return this.#ask(unit, { kind: "sync", tables: alone(unit, table), acceptDeletes: gone });
      }
      case "accept-scope":
        return this.#ask(unit, { kind: "sync", tables: alone(unit, action.table), acceptScope: true });
    }
  }

  /** Ends all runs: what is complete is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#over.abort();
    if (this.#ticks !== null) clearInterval(this.#ticks);
    if (this.#files !== null) clearInterval(this.#files);
    this.#queue = [];
    const workers = [...this.#workers.values()];
    const late = setTimeout(() => {
      for (const worker of workers) worker.kill();
    }, mostStopping);
    await Promise.all(workers.map((worker) => worker.end()));
    clearTimeout(late);
  }

  #add(loaded: LoadedConnection): void {
    const { name } = loaded;
    const unit: Unit = {
      loaded,
      runs: [],
      runsVersion: "",
      isBusy: false,
      tables: null,
      changes: null,
      looking: null,
      hasAllRuns: false,
      active: null,
      paused: this.#remembered.paused.includes(name) ? "person" : null,
      stopped: this.#remembered.stopped[name] ?? null,
      removed: false,
    };
    readRuns(unit, this.#host);
    this.#units.set(name, unit);
  }

  /** Looks for runs of other processes. Ours are told of by their workers. */
  #readRuns(): void {
    for (const unit of this.#units.values()) {
      if (unit.active !== null) continue;
      const { name } = unit.loaded;
      const found = readRuns(unit, this.#host);
      for (const run of found.toReversed()) this.#tell({ kind: "run", run: runReport(name, run) });
      if (found.length > 0) void this.#lookAt(unit, null);
    }
  }

  #tick(): void {
    const now = this.#host.now();
    for (const unit of this.#units.values()) {
      const { loaded, runs, stopped, active } = unit;
      const { name, schedule, verify } = loaded;
      if (active === null && !unit.isBusy && loaded.error === null && !this.#isPaused(unit)) {
        const plan = { name, schedule, verify, runs, stopped };
        const sync = nextSync(plan);
        const proof = nextVerify(plan);
        if (sync !== null && sync.at <= now) this.#enqueue(unit, { kind: "sync", tables: [] }, sync.trigger);
        else if (proof !== null && proof.at <= now) this.#enqueue(unit, { kind: "verify", tables: [] }, proof.trigger);
      }
      this.#show(unit);
    }
    this.#serve();
  }

  /** Looks whether too many runs failed for a reason that a person must mend. */
  #isPaused(unit: Unit): boolean {
    if (unit.paused === "person") return true;
    const { name } = unit.loaded;
    const failed = fruitless(unit.runs, this.#remembered.mended[name] ?? "");
    unit.paused = failed >= this.settings.pauseAfter ? "failures" : null;
    return unit.paused !== null;
  }

  #ask(unit: Unit, what: Asked): Done {
    const { name, error } = unit.loaded;
    if (error !== null) throw new Unfit(`The settings of ${name} are wrong: ${error.message}`);
    if (unit.active?.begun === true)
      throw new Unfit(`A run of ${name} is under way: stop it, or wait until it has ended.`);
    if (unit.active !== null) this.#queue = this.#queue.filter((waiting) => waiting !== unit);
    const run = this.#enqueue(unit, what, "person");
    this.#serve();
    this.#show(unit);
    const waits = unit.active !== null && !unit.active.begun;
    return { run, says: waits ? `${name} waits for its turn.` : `${name} has begun.` };
  }

  #enqueue(unit: Unit, what: Asked, trigger: Trigger): string {
    const { name } = unit.loaded;
    const run = randomUUID();
    const task: Task = { ...what, run, connection: name, trigger };
    const started = new Date(this.#host.now()).toISOString();
    unit.active = {
      task,
      begun: false,
      record: { id: run, kind: task.kind, trigger, started, ended: null, outcome: "running", tables: [] },
      progress: new Map(),
    };
    if (trigger === "person") this.#queue.unshift(unit);
    else this.#queue.push(unit);
    return run;
  }

  /** Begins runs that wait, as long as there is room. */
  #serve(): void {
    const { concurrency, memoryBytes, keepRuns } = this.settings;
    let running = [...this.#units.values()].filter(({ active }) => active?.begun === true).length;
    while (running < concurrency && !this.#stopping) {
      const unit = this.#queue.shift();
      if (unit === undefined) return;
      const { active, loaded } = unit;
      if (active === null) continue;
      active.begun = true;
      active.record = { ...active.record, started: new Date(this.#host.now()).toISOString() };
      running += 1;
      const part = memoryBytes === null ? null : Math.max(1 << 20, Math.floor(memoryBytes / concurrency));
      this.#workerOf(loaded).run(active.task, { memoryBytes: part, keepRuns }, this.#loaded.configuration);
      this.#tell({ kind: "run", run: runReport(loaded.name, underWay(active)) });
      this.#show(unit);
    }
  }

  #stop(unit: Unit): Done {
    const { active, loaded } = unit;
    if (active === null) throw new Unfit(`No run of ${loaded.name} is under way.`);
    if (active.begun) {
      unit.stopped = active.task.run;
      this.#remember({ stopped: { ...this.#remembered.stopped, [loaded.name]: active.task.run } });
      this.#workerOf(loaded).stop(active.task.run);
      return { run: active.task.run, says: `${loaded.name} is being stopped: what is complete is kept.` };
    }
    this.#queue = this.#queue.filter((waiting) => waiting !== unit);
    unit.active = null;
    this.#show(unit);
    return { run: active.task.run, says: `${loaded.name} no longer waits.` };
  }

  #pause(unit: Unit, on: boolean): void {
    const { name } = unit.loaded;
    const others = this.#remembered.paused.filter((paused) => paused !== name);
    unit.paused = on ? "person" : null;
    this.#remember({
      paused: on ? [...others, name] : others,
      ...(on ? {} : { mended: { ...this.#remembered.mended, [name]: new Date(this.#host.now()).toISOString() } }),
    });
    if (on && unit.active?.begun === false) this.#stop(unit);
    this.#show(unit);
  }

  #remember(what: Partial<Remembered>): void {
    this.#remembered = { ...this.#remembered, ...what };
    try {
      this.#host.memory.save(this.#remembered);
    } catch (thrown) {
      this.#host.log.warn(`what the service remembers could not be saved: ${asHeadwatersError(thrown).message}`);
    }
  }

  #workerOf({ worker }: LoadedConnection): WorkerProcess {
    const known = this.#workers.get(worker);
    if (known !== undefined) return known;
    const made = new WorkerProcess(() => this.#host.start(), {
      onRecord: (run, record) => this.#withActive(run, (_, active) => (active.record = record)),
      onProgress: (run, tables) =>
        this.#withActive(run, ({ loaded }, { progress }) => {
          for (const table of tables) progress.set(table.table, table);
          this.#tell({ kind: "progress", run, connection: loaded.name, tables: [...tables] });
        }),
      onLine: (run, line) =>
        this.#withActive(run, ({ loaded }) => this.#tell({ kind: "log", run, connection: loaded.name, line })),
      onEnd: (run, how) => this.#withActive(run, (unit, active) => this.#ended(unit, active, how)),
    });
    this.#workers.set(worker, made);
    return made;
  }

  #withActive(run: string, work: (unit: Unit, active: Active) => void): void {
    for (const unit of this.#units.values()) if (unit.active?.task.run === run) return work(unit, unit.active);
  }

  #ended(unit: Unit, active: Active, how: { error: ErrorReport | null; died: boolean }): void {
    const { name } = unit.loaded;
    const over = endOf(active, how, this.#host.now());
    unit.runs = newest([over, ...unit.runs]);
    unit.runsVersion = this.#host.runsVersion(unit.loaded);
    unit.active = null;
    this.#tell({ kind: "run", run: runReport(name, over) });
    this.#host.log.info(`${name}: ${active.task.kind} ${over.outcome}`);
    if (unit.removed) this.#remove(name);
    else if (!this.#stopping) {
      const changed = over.tables.filter((table) => table.inserted + table.updated + table.deleted > 0);
      void this.#lookAt(unit, active.task.kind === "verify" ? [] : changed.map(({ table }) => table));
    }
    this.#show(unit);
    this.#serve();
  }

  /** What a worker answers; `null`: nothing is there yet, or another process has the destination open. */
  async #asked<Kind extends keyof Answers>(
    unit: Unit,
    question: Extract<Question, { kind: Kind }>,
  ): Promise<Answers[Kind] | null> {
    const { loaded } = unit;
    if (loaded.error !== null || this.#stopping) return null;
    try {
      return await this.#workerOf(loaded).ask(loaded.name, question, this.#loaded.configuration);
    } catch (thrown) {
      this.#host.log.debug(`${loaded.name}: the destination can't be asked: ${(thrown as Error).message}`);
      return null;
    }
  }

  /** Asks the worker how the copies stand. `recount`: tables whose rows changed; `null`: all are counted. */
  #lookAt(unit: Unit, recount: readonly string[] | null): Promise<void> {
    const looking = this.#look(unit, recount).finally(() => {
      if (unit.looking === looking) unit.looking = null;
    });
    unit.looking = looking;
    return looking;
  }

  async #look(unit: Unit, recount: readonly string[] | null): Promise<void> {
    const known = unit.tables;
    const question = { kind: "copies", recount: known === null ? null : recount, changes: mostSchemaChanges } as const;
    const found = await this.#asked(unit, question);
    // What was known before stays where the worker can't look now.
    if (found !== null) {
      unit.tables = found.tables.map((table) => ({
        ...table,
        rows: table.rows ?? known?.find((one) => one.table === table.table)?.rows ?? null,
      }));
      unit.changes = found.changes;
      this.#tellSchema(unit.loaded.name, found.changes);
    }
    this.#show(unit);
  }

  /** Tells of the newest change of a schema. */
  #tellSchema(name: string, changes: readonly SchemaChange[]): void {
    const [newest, ...older] = changes;
    if (newest === undefined) return;
    const { at, table, change } = newest;
    const more = older.filter((one) => one.at === at).length;
    const message = `${name}: "${table}": ${change}${more === 0 ? "" : `, and ${more} more changes`}.`;
    this.#alerts.happened(
      this.settings.alerts,
      { event: "schema change", connection: name, at, message, hint: null, code: null },
      at,
    );
  }

  /** Tells of a connection if what is shown of it has changed. */
  #show(unit: Unit): void {
    const { name } = unit.loaded;
    if (this.#units.get(name) !== unit) return;
    const connection = connectionReport(unit, this.#host.now());
    const { running, nextRun, nextVerify, ...rest } = connection;
    // What only goes on with the time is no change.
    const text = JSON.stringify([
      rest,
      running?.id,
      running?.tables,
      later(nextRun, this.#host.now()),
      later(nextVerify, this.#host.now()),
    ]);
    if (this.#shown.get(name) === text) return;
    this.#shown.set(name, text);
    if (!this.#stopping) this.#alerts.look(this.settings.alerts, connection);
    this.#tell({ kind: "connection", connection });
  }

  #tell(event: ServiceEvent): void {
    this.events.add(event);
  }

  async #readFile(): Promise<void> {
    try {
      const text = await this.#host.text();
      if (text === this.#text) return;
      this.#text = text;
      const loaded = await this.#host.load();
      const wrong = loaded.connections.find(({ error }) => error !== null)?.error ?? null;
      if (wrong !== null) return this.#refuse(wrong);
      this.#take(loaded);
    } catch (thrown) {
      this.#refuse(errorReport(asHeadwatersError(thrown)));
    }
  }

  #refuse(error: ErrorReport): void {
    if (JSON.stringify(error) === JSON.stringify(this.#configurationError)) return;
    this.#configurationError = error;
    this.#host.log.warn(`the file of connections has changed, and can't be taken on: ${error.message}`);
    this.#tell({ kind: "configuration", error });
  }

  #take(loaded: Loaded): void {
    this.#loaded = loaded;
    this.#configurationError = null;
    const names = new Set(loaded.connections.map(({ name }) => name));
    for (const [name, unit] of this.#units) {
      if (names.has(name)) continue;
      unit.removed = true;
      if (unit.active?.begun !== true) this.#remove(name);
    }
    for (const connection of loaded.connections) {
      const known = this.#units.get(connection.name);
      if (known === undefined) {
        this.#add(connection);
        void this.#lookAt(this.#units.get(connection.name)!, null);
        continue;
      }
      known.removed = false;
      if (known.loaded.version === connection.version) continue;
      known.loaded = connection;
      this.#remember({
        mended: { ...this.#remembered.mended, [connection.name]: new Date(this.#host.now()).toISOString() },
      });
    }
    this.#host.log.info("the file of connections was read again");
    this.#tell({ kind: "configuration", error: null });
    this.#tick();
  }

  #remove(name: string): void {
    const unit = this.#units.get(name);
    this.#queue = this.#queue.filter((waiting) => waiting !== unit);
    this.#units.delete(name);
    this.#shown.delete(name);
    this.#alerts.forget(name);
    this.#tell({ kind: "removed", connection: name });
  }
}

type Asked = Omit<Task, "run" | "connection" | "trigger">;

/** A table, if it can be synced without the others. */
function alone({ loaded }: Unit, table: string): readonly string[] {
  return loaded.together ? [] : [table];
}
