import { randomUUID } from "node:crypto";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { Trigger } from "../protocol/state-store.ts";
import type { Action, ConnectionReport, ErrorReport, Run, ServiceEvent } from "./api.ts";
import { Alerts, deliver, isStale, schemaChanged, streamLost, testAlert } from "./alerts.ts";
import { Archive } from "./archive.ts";
import { fruitless, nextSync, nextVerify } from "./due.ts";
import { EventLog } from "./event-log.ts";
import { isPlain, newFollowing, recountDue } from "./following.ts";
import { refuseHandedOver } from "./handed-over.ts";
import type { Host, Loaded, LoadedConnection, Remembered } from "./host.ts";
import { type Done, Unfit } from "./done.ts";
import type { Answers, Asked, Question } from "./messages.ts";
import { runReport } from "./reports.ts";
import {
  type Active,
  alone,
  connectionReport,
  endOf,
  type Following,
  later,
  newest,
  newRun,
  newUnit,
  planOf,
  readRuns,
  runsUnderWay,
  underWay,
  type Unit,
} from "./unit.ts";
import { changedIn, Looks } from "./looks.ts";
import { WatchedFile } from "./watched-file.ts";
import { Refused, type WorkerEvents, Workers } from "./workers.ts";

/** How often to check whether something is due, in milliseconds. */
const tickInterval = 500;
/** How often to check whether other processes have made runs, in milliseconds. */
const runsInterval = 2_000;

/** Runs the connections of a file by their schedules, each in the process of its destination. */
export class Service implements AsyncDisposable {
  readonly started: string;
  readonly events = new EventLog();
  readonly archive: Archive;
  readonly #host: Host;
  readonly #units = new Map<string, Unit>();
  readonly #workers: Workers;
  /** Waiting runs, by connection; those that a person requested come first. */
  #queue: Unit[] = [];
  #loaded: Loaded;
  readonly #file: WatchedFile;
  #remembered: Remembered;
  readonly #alerts: Alerts;
  readonly #looks: Looks;
  readonly #over = new AbortController();
  readonly #shown = new Map<string, string>();
  #ticks: NodeJS.Timeout | null = null;
  #runs: NodeJS.Timeout | null = null;
  #stopping = false;

  private constructor(host: Host, loaded: Loaded, text: string) {
    this.#host = host;
    this.#loaded = loaded;
    this.#file = new WatchedFile(
      host,
      text,
      (taken) => this.#take(taken),
      (error) => this.#tell({ kind: "configuration", error }),
    );
    this.started = new Date(host.now()).toISOString();
    this.#workers = new Workers(() => host.start(), this.#hearing());
    this.#looks = new Looks(
      {
        copies: (unit, question, later) => this.#asked(unit, question, later),
        runs: (unit, limit) => this.#asked(unit, { kind: "runs", which: {}, limit }),
        onRun: ({ loaded: { name } }, run) => this.#tell({ kind: "run", run: runReport(name, run) }),
        now: () => host.now(),
      },
      (unit) => this.#looked(unit),
    );
    this.archive = new Archive(this.#units, host, {
      stored: async (unit, which, limit) => (await this.#asked(unit, { kind: "runs", which, limit })) ?? [],
      look: (unit) => (unit.looking ??= this.#looks.at(unit, null)),
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
    return this.#file.error;
  }

  get version(): string {
    return this.#host.version;
  }

  /** Begins to work. */
  start(): void {
    for (const unit of this.#units.values()) void this.#looks.at(unit, null);
    this.#ticks = setInterval(() => this.#tick(), tickInterval);
    this.#runs = setInterval(() => this.#readRuns(), runsInterval);
    this.#file.watch();
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

  /** The runs that follow a source. */
  followed(): readonly Run[] {
    return [...this.#units.values()].flatMap(({ loaded, following }) =>
      following === null ? [] : [runReport(loaded.name, underWay(following))],
    );
  }

  /** How often reads of tables were tried again since the service began, by connection and code. */
  retries(): readonly { readonly connection: string; readonly code: string; readonly count: number }[] {
    return [...this.#units].flatMap(([connection, { retries }]) =>
      [...retries].map(([code, count]) => ({ connection, code, count })),
    );
  }

  /** The memory of the destinations' processes, in bytes. */
  memory(): ReadonlyMap<string, number> {
    return this.#workers.memory();
  }

  /** Sends a test to a webhook. Resolves to the result; `null`: there is no such alert. */
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
    return unit === undefined ? null : [...(runsUnderWay(unit)[0]?.progress.values() ?? [])];
  }

  /** Throws {@link Unfit}. `null`: there is no such connection. */
  act(name: string, action: Action): Done | null {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    refuseHandedOver(unit, action);
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
        return { run: null, says: `${name} is paused: it runs only when you start it.` };
      case "resume":
        this.#pause(unit, false);
        if (unit.loaded.schedule === "follow") return { run: null, says: `${name} is followed again.` };
        return { run: null, says: `${name} runs by its schedule again.` };
      case "accept-deletes": {
        const { table, gone, of } = action;
        const held = unit.tables?.find((one) => one.table === table)?.held ?? null;
        if (held === null) throw new Unfit(`No deletes of table "${table}" are held back.`);
        if (held.gone !== gone || held.of !== of)
          throw new Unfit(`The held deletes of table "${table}" have changed: ${held.gone} of ${held.of} rows.`);
        return this.#ask(unit, { kind: "sync", tables: alone(unit, table), acceptDeletes: gone });
      }
      case "accept-scope":
        return this.#ask(unit, { kind: "sync", tables: alone(unit, action.table), acceptScope: true });
    }
  }

  /** Ends all runs; complete work is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#over.abort();
    if (this.#ticks !== null) clearInterval(this.#ticks);
    if (this.#runs !== null) clearInterval(this.#runs);
    this.#file[Symbol.dispose]();
    this.#queue = [];
    await this.#workers.end();
  }

  #add(loaded: LoadedConnection): void {
    const unit = newUnit(loaded, this.#remembered);
    readRuns(unit, this.#host);
    this.#units.set(loaded.name, unit);
  }

  /** Looks for runs of other processes. Workers report our own. */
  #readRuns(): void {
    for (const unit of this.#units.values()) {
      if (runsUnderWay(unit).length > 0 || unit.active !== null) continue;
      const found = readRuns(unit, this.#host);
      for (const run of found.toReversed()) this.#tell({ kind: "run", run: runReport(unit.loaded.name, run) });
      if (found.length > 0) void this.#looks.at(unit, null);
      else this.#looks.again(unit);
    }
  }

  #tick(): void {
    const now = this.#host.now();
    for (const unit of this.#units.values()) {
      if (!unit.isBusy && unit.loaded.error === null && !this.#isPaused(unit)) this.#beginDue(unit, now);
      const recount = recountDue(unit, now);
      if (recount !== null) void this.#looks.at(unit, recount);
      this.#show(unit);
    }
    this.#serve();
  }

  /** Begins what is due for a connection. A verify does not wait for following, but for everything else. */
  #beginDue(unit: Unit, now: number): void {
    const { active, following, loaded } = unit;
    if (unit.removed) return;
    const plan = planOf(unit);
    const sync = nextSync(plan);
    const proof = nextVerify(plan);
    const isDue = sync !== null && sync.at <= now;
    if (loaded.schedule === "follow") {
      const isFree = following === null && (active === null || active.task.kind === "verify");
      if (isFree && isDue) this.#follow(unit, sync.trigger);
    } else if (active === null && following === null && isDue) {
      this.#enqueue(unit, { kind: "sync", tables: [] }, sync.trigger);
      return;
    }
    if (active === null && proof !== null && proof.at <= now)
      this.#enqueue(unit, { kind: "verify", tables: [] }, proof.trigger);
  }

  /** Checks whether too many runs failed for a reason that a person must fix. */
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
      throw new Unfit(`A run of ${name} is under way. Stop it, or wait until it has ended.`);
    if (unit.following?.ending === false && isPlain(what))
      throw new Unfit(`${name} is followed: changes are copied as they arrive.`);
    // There is one writer. The connection is followed again afterwards.
    if (unit.following !== null && what.kind !== "verify") this.#endFollowing(unit.following, unit);
    if (unit.active !== null) this.#queue = this.#queue.filter((waiting) => waiting !== unit);
    const run = this.#enqueue(unit, what, "person");
    this.#serve();
    this.#show(unit);
    const waits = unit.active !== null && !unit.active.begun;
    return { run, says: waits ? `${name} waits for its turn.` : `${name} has begun.` };
  }

  #enqueue(unit: Unit, what: Asked, trigger: Trigger): string {
    unit.active = this.#newRun(unit, what, trigger);
    if (trigger === "person") this.#queue.unshift(unit);
    else this.#queue.push(unit);
    return unit.active.task.run;
  }

  #newRun({ loaded }: Unit, what: Asked, trigger: Trigger): Active {
    return newRun({ ...what, run: randomUUID(), connection: loaded.name, trigger }, this.#host.now());
  }

  /** Follows the source of a connection until it is stopped. This does not count against the runs at the same time. */
  #follow(unit: Unit, trigger: Trigger): void {
    if (this.#stopping) return;
    unit.following = newFollowing(this.#newRun(unit, { kind: "follow", tables: [] }, trigger));
    this.#begin(unit, unit.following);
  }

  #endFollowing(following: Following, { loaded }: Unit): void {
    following.ending = true;
    this.#workers.of(loaded).stop(following.task.run);
  }

  #begin({ loaded }: Unit, active: Active): void {
    const { concurrency, memoryBytes, keepRuns } = this.settings;
    const followed = [...this.#units.values()].filter((unit) => unit.loaded.schedule === "follow").length;
    const part = memoryBytes === null ? null : Math.max(1 << 20, Math.floor(memoryBytes / (concurrency + followed)));
    this.#workers.of(loaded).run(active.task, { memoryBytes: part, keepRuns }, this.#loaded.configuration);
    this.#tell({ kind: "run", run: runReport(loaded.name, underWay(active)) });
  }

  /** Begins waiting runs while there is room. */
  #serve(): void {
    let running = [...this.#units.values()].filter(({ active }) => active?.begun === true).length;
    while (running < this.settings.concurrency && !this.#stopping) {
      const unit = this.#queue.find(
        ({ active, following }) => active !== null && (following === null || active.task.kind === "verify"),
      );
      if (unit?.active == null) return;
      this.#queue = this.#queue.filter((waiting) => waiting !== unit);
      unit.active.begun = true;
      unit.active.record = { ...unit.active.record, started: new Date(this.#host.now()).toISOString() };
      running += 1;
      this.#begin(unit, unit.active);
      this.#show(unit);
    }
  }

  #stop(unit: Unit): Done {
    const { active, loaded, following } = unit;
    if (active === null && following !== null) {
      this.#pause(unit, true);
      return { run: following.task.run, says: `${loaded.name} is being stopped, and is paused until you resume it.` };
    }
    if (active === null) throw new Unfit(`No run of ${loaded.name} is under way.`);
    if (active.begun) {
      unit.stopped = active.task.run;
      this.#remember({ stopped: { ...this.#remembered.stopped, [loaded.name]: active.task.run } });
      this.#workers.of(loaded).stop(active.task.run);
      return { run: active.task.run, says: `${loaded.name} is being stopped; complete work is kept.` };
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
    if (on && unit.following !== null) this.#endFollowing(unit.following, unit);
    if (on && unit.active?.begun === false) this.#stop(unit);
    this.#show(unit);
  }

  #remember(what: Partial<Remembered>): void {
    this.#remembered = { ...this.#remembered, ...what };
    try {
      this.#host.memory.save(this.#remembered);
    } catch (thrown) {
      this.#host.log.warn(`the state of the service could not be saved: ${asHeadwatersError(thrown).message}`);
    }
  }

  #hearing(): WorkerEvents {
    return {
      onRecord: (run, record) => this.#withActive(run, (_, active) => (active.record = record)),
      onProgress: (run, tables) =>
        this.#withActive(run, (unit, active) => {
          for (const table of tables) active.progress.set(table.table, table);
          // The page shows one run of a connection.
          if (runsUnderWay(unit)[0] !== active) return;
          this.#tell({ kind: "progress", run, connection: unit.loaded.name, tables: [...tables] });
        }),
      onStream: (run, stream) =>
        this.#withActive(run, ({ following }) => {
          if (following !== null) following.stream = stream;
        }),
      onLost: (run, table, reason) =>
        this.#withActive(run, ({ loaded: { name } }) => {
          const at = new Date(this.#host.now()).toISOString();
          this.#alerts.happened(this.settings.alerts, streamLost(name, table, reason, at), at);
        }),
      onLine: (run, line) =>
        this.#withActive(run, ({ loaded }) => this.#tell({ kind: "log", run, connection: loaded.name, line })),
      onRetry: (run, code) => this.#withActive(run, ({ retries }) => retries.set(code, (retries.get(code) ?? 0) + 1)),
      onEnd: (run, how) => this.#withActive(run, (unit, active) => this.#ended(unit, active, how)),
    };
  }

  #withActive(run: string, work: (unit: Unit, active: Active) => void): void {
    for (const unit of this.#units.values())
      for (const active of [unit.active, unit.following]) if (active?.task.run === run) return work(unit, active);
  }

  #ended(unit: Unit, active: Active, how: { error: ErrorReport | null; died: boolean }): void {
    const { name } = unit.loaded;
    const over = endOf(active, how, this.#host.now());
    unit.runs = newest([over, ...unit.runs]);
    unit.runsVersion = this.#host.runsVersion(unit.loaded);
    if (unit.following === active) unit.following = null;
    else unit.active = null;
    this.#tell({ kind: "run", run: runReport(name, over) });
    this.#host.log.info(`${name}: ${active.task.kind} ${over.outcome}`);
    if (unit.removed && runsUnderWay(unit).length === 0) this.#remove(name);
    else if (!this.#stopping) void this.#looks.at(unit, changedIn([over]));
    this.#show(unit);
    this.#serve();
  }

  /** A worker's answer; `null`: it has none. `later`: called if it may answer the same question later. */
  async #asked<Kind extends keyof Answers>(
    unit: Unit,
    question: Extract<Question, { kind: Kind }>,
    later: () => void = () => {},
  ): Promise<Answers[Kind] | null> {
    const { loaded } = unit;
    if (loaded.error !== null || this.#stopping) return null;
    try {
      return await this.#workers.of(loaded).ask(loaded.name, question, this.#loaded.configuration);
    } catch (thrown) {
      this.#host.log.debug(`${loaded.name}: the destination can't be reached: ${(thrown as Error).message}`);
      if (thrown instanceof Refused && thrown.error.remedy === "retry") later();
      return null;
    }
  }

  /** Takes the result of a look at the copies of a connection. */
  #looked(unit: Unit): void {
    const changed = unit.changes === null ? null : schemaChanged(unit.loaded.name, unit.changes);
    if (changed !== null) this.#alerts.happened(this.settings.alerts, changed, changed.at);
    this.#show(unit);
  }

  /** Reports a connection if its report has changed. */
  #show(unit: Unit): void {
    const { name } = unit.loaded;
    if (this.#units.get(name) !== unit) return;
    const now = this.#host.now();
    const connection = connectionReport(unit, now);
    const { running, nextRun, nextVerify, ...rest } = connection;
    // Values that only move with time are no change.
    const ahead = [later(nextRun, now), later(nextVerify, now)];
    const text = JSON.stringify([rest, running?.id, running?.tables, ahead, isStale(connection, now)]);
    if (this.#shown.get(name) === text) return;
    this.#shown.set(name, text);
    if (!this.#stopping) this.#alerts.look(this.settings.alerts, connection);
    this.#tell({ kind: "connection", connection });
  }

  #tell(event: ServiceEvent): void {
    this.events.add(event);
  }

  #take(loaded: Loaded): void {
    this.#loaded = loaded;
    const names = new Set(loaded.connections.map(({ name }) => name));
    for (const [name, unit] of this.#units) {
      if (names.has(name)) continue;
      unit.removed = true;
      if (unit.following !== null) this.#endFollowing(unit.following, unit);
      if (runsUnderWay(unit).length === 0) this.#remove(name);
    }
    for (const connection of loaded.connections) {
      const known = this.#units.get(connection.name);
      if (known === undefined) {
        this.#add(connection);
        void this.#looks.at(this.#units.get(connection.name)!, null);
        continue;
      }
      known.removed = false;
      if (known.loaded.version === connection.version) continue;
      if (known.following !== null) this.#endFollowing(known.following, known);
      known.loaded = connection;
      this.#remember({
        mended: { ...this.#remembered.mended, [connection.name]: new Date(this.#host.now()).toISOString() },
      });
    }
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
