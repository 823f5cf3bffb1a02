import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { RunRecord, TableRun } from "../protocol/state-store.ts";
import type { LogLine } from "../service/api.ts";
import type { Redactor } from "./redact.ts";
import { readRunLog, RunLog } from "./run-log.ts";

/** The folder beside the file of connections that keeps the attempts, unless HEADWATERS_STATE names another. */
export const recordFolder = ".headwaters";

/** How many attempts of a connection are kept, with their logs. */
const kept = 200;

/** While tables end, the least time between two writes of the file, in milliseconds. */
const interval = 1_000;

/** Identifies a process to others. */
export interface RecordedProcess {
  readonly host: string;
  readonly pid: number;
  /** When the process started, as the system tells it: another process may get the same pid. `null`: unknown. */
  readonly process: string | null;
}

export function ownProcess(): RecordedProcess {
  return { host: hostname(), pid: process.pid, process: processStart(process.pid) };
}

/** One attempt to sync or verify a connection. The destination gets the same record, if it can be written. */
export interface Attempt extends RunRecord, RecordedProcess {
  /** Identifies the destination; `null`: the settings were wrong. */
  readonly destination: string | null;
}

/** Where a connection's attempts are kept. */
export interface AttemptPlace {
  readonly folder: string;
}

/** `home`: the folder of the file of connections. */
export function attemptPlace(home: string, connection: string, variables: NodeJS.ProcessEnv): AttemptPlace {
  const state = variables["HEADWATERS_STATE"] ?? "";
  return { folder: join(state === "" ? join(home, recordFolder) : resolve(state), connection) };
}

/** What a record needs from its process. */
export interface Recording {
  readonly log: Log;
  readonly redactor: Redactor;
  /** Called with every line of the run's log. */
  onLine?(line: LogLine): void;
  /** Called with the attempt whenever it is written. */
  onAttempt?(attempt: Attempt): void;
}

/**
 * Writes one attempt to a file of its own, so that nothing else is touched if this process is killed. A place that can't
 * be written is only a warning: the sync itself may still work.
 */
export class AttemptRecord {
  readonly log: RunLog;
  /** The file of the attempt, which also names its log; the destination may record a later start. */
  readonly #file: string;
  readonly #place: AttemptPlace;
  readonly #log: Log;
  readonly #redactor: Redactor;
  readonly #onAttempt: (attempt: Attempt) => void;
  readonly #tables = new Map<string, TableRun>();
  #attempt: Attempt;
  #writes = true;
  #written = 0;
  /** Writes what the interval held back. */
  #later: NodeJS.Timeout | null = null;

  constructor(
    place: AttemptPlace,
    what: Pick<Attempt, "kind" | "trigger" | "destination"> & { readonly id?: string },
    { log, redactor, onLine = () => {}, onAttempt = () => {} }: Recording,
  ) {
    this.#onAttempt = onAttempt;
    this.#place = place;
    this.#log = log;
    this.#redactor = redactor;
    this.#attempt = {
      id: randomUUID(),
      ...what,
      started: new Date().toISOString(),
      ended: null,
      outcome: "running",
      tables: [],
      ...ownProcess(),
    };
    this.#file = fileOf(place, this.#attempt);
    this.log = new RunLog(this.#file.replace(/json$/, "log"), redactor, onLine);
    this.#write();
    this.#prune();
  }

  get attempt(): Attempt {
    return this.#attempt;
  }

  /** A table ended. */
  finished(table: TableRun): void {
    this.#tables.set(table.table, table);
    this.#attempt = { ...this.#attempt, tables: [...this.#tables.values()] };
    const wait = interval - (performance.now() - this.#written);
    if (wait <= 0) this.#write();
    else this.#later ??= setTimeout(() => this.#write(), wait).unref();
  }

  end(run: RunRecord): void {
    this.#attempt = { ...this.#attempt, ...run };
    this.#write();
  }

  /** `stopped`: the user stopped it, so the failure was expected. */
  fail(thrown: unknown, stopped: boolean): void {
    if (stopped) this.log.write("info", "stopped");
    else this.log.failed(thrown);
    const { code, message, hint }: HeadwatersError = asHeadwatersError(thrown);
    this.#attempt = {
      ...this.#attempt,
      ended: new Date().toISOString(),
      ...(stopped ? { outcome: "stopped" } : { outcome: "failed", error: { code, message, hint } }),
    };
    this.#write();
  }

  #write(): void {
    this.#written = performance.now();
    if (this.#later !== null) clearTimeout(this.#later);
    this.#later = null;
    const attempt = this.#redactor.json(this.#attempt) as Attempt;
    this.#onAttempt(attempt);
    if (!this.#writes) return;
    const partial = `${this.#file}.partial`;
    try {
      mkdirSync(this.#place.folder, { recursive: true, mode: 0o700 });
      const parent = dirname(this.#place.folder);
      if (basename(parent) === recordFolder) writeFileSync(join(parent, ".gitignore"), "*\n");
      writeFileSync(partial, JSON.stringify(attempt), { mode: 0o600 });
      renameSync(partial, this.#file);
    } catch (thrown) {
      this.#writes = false;
      this.#log.warn(
        `the attempt can't be recorded in ${this.#place.folder} (${reason(thrown)}); if the destination can't be read, status can't show this run. HEADWATERS_STATE can name another folder`,
      );
    }
  }

  #prune(): void {
    if (!this.#writes) return;
    for (const name of names(this.#place).slice(kept)) {
      for (const gone of [name, name.replace(/json$/, "log")]) rmSync(join(this.#place.folder, gone), { force: true });
    }
  }
}

function fileOf({ folder }: AttemptPlace, { id, started }: Pick<Attempt, "id" | "started">): string {
  return join(folder, `${started.replaceAll(/[-:.]/g, "")}-${id.slice(0, 8)}.json`);
}

/** The log of a run, by the beginning of its id; `null`: it has none on this machine. */
export function loadRunLog(place: AttemptPlace, id: string): readonly LogLine[] | null {
  const name = names(place).find((name) => name.endsWith(`-${id.slice(0, 8)}.json`));
  return name === undefined ? null : readRunLog(join(place.folder, name.replace(/json$/, "log")));
}

/** The attempts of a connection as they stand now, newest first. `destination`: those at other destinations are left out. */
export function loadAttempts(place: AttemptPlace, destination: string | null, log: Log): readonly RunRecord[] {
  const attempts = readAttempts(place, log).filter(
    (attempt) => attempt.destination === null || attempt.destination === destination,
  );
  return attempts.map((attempt, index) => {
    const { host: _, pid: __, process: ___, destination: ____, ...run } = attempt;
    // There is one writer: runs that began before a complete sync are over, even if their processes can't be seen from here.
    const isPast = attempts.slice(0, index).some(({ kind, outcome }) => kind !== "verify" && outcome === "succeeded");
    const isOver = (isPast && run.kind !== "verify") || !isAlive(attempt);
    return run.outcome === "running" && isOver ? { ...run, outcome: "died" } : run;
  });
}

/** Whether a process of this machine is running the connection now. */
export function isUnderWay(place: AttemptPlace, log: Log): boolean {
  return readAttempts(place, log).some(
    (attempt) => attempt.outcome === "running" && attempt.host === hostname() && isAlive(attempt),
  );
}

/** Another value whenever an attempt was written. */
export function attemptsVersion({ folder }: AttemptPlace): string {
  return String(statSync(folder, { throwIfNoEntry: false })?.mtimeMs);
}

function readAttempts(place: AttemptPlace, log: Log): readonly Attempt[] {
  const attempts: Attempt[] = [];
  for (const name of names(place)) {
    try {
      attempts.push(JSON.parse(readFileSync(join(place.folder, name), "utf8")) as Attempt);
    } catch (thrown) {
      log.warn(`${join(place.folder, name)} can't be read (${reason(thrown)}); it is left out`);
    }
  }
  return attempts;
}

/** Newest first, each once. The destination's record of a run counts, unless it does not have the run's end. */
export function together(stored: readonly RunRecord[], attempts: readonly RunRecord[]): readonly RunRecord[] {
  const runs = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  for (const run of stored) if (run.ended !== null || !runs.has(run.id)) runs.set(run.id, run);
  return [...runs.values()].sort((a, b) => (a.started < b.started ? 1 : a.started > b.started ? -1 : 0));
}

/** Whether a process still runs. On another machine this can't be known: it is assumed to run. */
export function isAlive({ host, pid, process: started }: RecordedProcess): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return started === processStart(pid);
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return started === processStart(pid);
}

/** Linux: the start of the process, since the start of the machine. Elsewhere unknown. */
function processStart(pid: number): string | null {
  if (process.platform !== "linux") return null;
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name of the program, in parentheses, may have spaces.
    return `${boot} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    // No /proc, or the process is gone.
    return null;
  }
}

/** Newest first. */
function names({ folder }: AttemptPlace): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .sort()
      .reverse();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw asHeadwatersError(thrown);
  }
}

function reason(thrown: unknown): string {
  return (thrown as NodeJS.ErrnoException).code ?? (thrown instanceof Error ? thrown.message : String(thrown));
}
