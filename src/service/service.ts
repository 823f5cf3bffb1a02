import { randomUUID } from "node:crypto";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { RecordedError, Trigger } from "../protocol/state-store.ts";
import type { Action, ConnectionReport, ErrorReport, LogLine, Run, ServiceEvent, TableReport } from "./api.ts";
import { fruitless, nextSync, nextVerify } from "./due.ts";
import { EventLog } from "./event-log.ts";
import type { Host, Loaded, LoadedConnection, Remembered } from "./host.ts";
import type { Task } from "./messages.ts";
import { errorReport, type RecordedRun, runReport, tableRunReport } from "./reports.ts";
import { type Active, connectionReport, keptRuns, underWay, type Unit } from "./unit.ts";
import { WorkerProcess } from "./workers.ts";

/** How often it is looked whether something is due, or the file has changed, in milliseconds. */
const tickInterval = 500;
const fileInterval = 2_000;

/** How long stopping may take, in milliseconds; then workers are killed. What they committed is kept. */
const mostStopping = 8_000;

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
  readonly #host: Host;
  readonly #units = new Map<string, Unit>();
  readonly #workers = new Map<string, WorkerProcess>();
  /** Runs that wait, by connection; those that a person asked for come first. */
  #queue: Unit[] = [];
  #loaded: Loaded;
  #text: string;
  #configurationError: ErrorReport | null = null;
  #remembered: Remembered;
  readonly #shown = new Map<string, string>();
  #ticks: NodeJS.Timeout | null = null;
  #files: NodeJS.Timeout | null = null;
  #stopping = false;

  private constructor(host: Host, loaded: Loaded, text: string) {
    this.#host = host;
    this.#loaded = loaded;
    this.#text = text;
    this.started = new Date(host.now()).toISOString();
    this.#remembered = host.memory.load();
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
    this.#files = setInterval(() => void this.#readFile(), fileInterval);
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

  /** The runs of a connection, newest first, with the one under way. */
  runs(name: string, { kind, before, limit }: RunsAsked): readonly Run[] | null {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    const all = [...(unit.active?.begun === true ? [underWay(unit.active)] : []), ...unit.runs];
    return all
      .map((record) => runReport(name, record))
      .filter((run) => (kind === null || run.kind === kind) && (before === null || run.started < before))
      .slice(0, limit);
  }

  /** A run, with the name of its connection. */
  run(id: string): { readonly connection: string; readonly record: Unit["runs"][number] } | null {
    for (const [connection, { active, runs }] of this.#units) {
      const record = active?.task.run === id ? underWay(active) : runs.find((run) => run.id === id);
      if (record !== undefined) return { connection, record };
    }
    return null;
  }

  runLog(id: string): readonly LogLine[] | null {
    const found = this.run(id);
    return found === null ? null : (this.#host.runLog(found.connection, id) ?? []);
  }

  progress(name: string) {
    const unit = this.#units.get(name);
    return unit === undefined ? null : [...(unit.active?.progress.values() ?? [])];
  }

  /** The tables of a connection, with what its last sync did to each. */
  async tables(name: string): Promise<readonly TableReport[] | null> {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    if (unit.tables === null) await this.#lookAt(unit, null);
    const syncs = unit.runs.filter(({ kind = "sync" }) => kind === "sync");
    return (unit.tables ?? []).map((report) => {
      const last = syncs.flatMap(({ tables }) => tables.find(({ table }) => table === report.table) ?? [])[0];
      return last === undefined ? report : { ...report, last: tableRunReport(last) };
    });
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
    this.#units.set(name, {
      loaded,
      runs: this.#host.runs(loaded).slice(0, keptRuns),
      tables: null,
      active: null,
      paused: this.#remembered.paused.includes(name) ? "person" : null,
      stopped: this.#remembered.stopped[name] ?? null,
      removed: false,
    });
  }

  #tick(): void {
    const now = this.#host.now();
    for (const unit of this.#units.values()) {
      const { loaded, runs, stopped, active } = unit;
      const { name, schedule, verify } = loaded;
      if (active === null && loaded.error === null && !this.#isPaused(unit)) {
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
    const { concurrency, memoryBytes } = this.settings;
    let running = [...this.#units.values()].filter(({ active }) => active?.begun === true).length;
    while (running < concurrency && !this.#stopping) {
      const unit = this.#queue.shift();
      if (unit === undefined) return;
      const { active, loaded } = unit;
      if (active === null) continue;
      active.begun = true;
      active.record = { ...active.record, started: new Date(this.#host.now()).toISOString() };
      running += 1;
      const memory = memoryBytes === null ? null : Math.max(1 << 20, Math.floor(memoryBytes / concurrency));
      this.#workerOf(loaded).run(active.task, memory, this.#loaded.configuration);
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

  #ended(unit: Unit, active: Active, { error, died }: { error: ErrorReport | null; died: boolean }): void {
    const { name } = unit.loaded;
    const { record } = active;
    const ended = record.ended ?? new Date(this.#host.now()).toISOString();
    // A run that could not even be recorded failed by the error that it ended with.
    const over: RecordedRun =
      record.outcome !== "running"
        ? { ...record, ended }
        : {
            ...record,
            ended,
            outcome: died ? "died" : error === null ? "stopped" : "failed",
            ...(error === null ? {} : { error: error as RecordedError }),
          };
    unit.runs = [over, ...unit.runs].slice(0, keptRuns);
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

  /** Asks the worker how the copies stand. `recount`: tables whose rows changed; `null`: all are counted. */
  async #lookAt(unit: Unit, recount: readonly string[] | null): Promise<void> {
    const { loaded } = unit;
    if (loaded.error !== null) return;
    const known = unit.tables;
    try {
      const all = known === null ? null : recount;
      const tables = await this.#workerOf(loaded).ask(
        loaded.name,
        { kind: "tables", recount: all },
        this.#loaded.configuration,
      );
      unit.tables = tables.map((table) => ({
        ...table,
        rows: table.rows ?? known?.find((one) => one.table === table.table)?.rows ?? null,
      }));
    } catch (thrown) {
      // Nothing is there yet, or another process has it open: what was known before stays.
      this.#host.log.info(`${loaded.name}: the copies can't be looked at: ${(thrown as Error).message}`);
    }
    this.#show(unit);
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
    this.#tell({ kind: "removed", connection: name });
  }
}

type Asked = Omit<Task, "run" | "connection" | "trigger">;

export interface RunsAsked {
  readonly kind: Run["kind"] | null;
  readonly before: string | null;
  readonly limit: number;
}

/** A table, if it can be synced without the others. */
function alone({ loaded }: Unit, table: string): readonly string[] {
  return loaded.together ? [] : [table];
}

/** A moment that is still to come. */
function later(moment: string | null, now: number): string | null {
  return moment === null || Date.parse(moment) <= now ? null : moment;
}
