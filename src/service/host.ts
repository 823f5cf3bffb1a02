import type { ChildProcess } from "node:child_process";
import type { Log } from "../protocol/log.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import type { ErrorReport, LogLine } from "./api.ts";
import type { Configuration } from "./messages.ts";
import type { Schedule, SyncSchedule } from "./schedule.ts";
import type { ServiceSettings } from "./settings.ts";

/** A connection of the file, as the service knows it. Nothing in it is a secret. */
export interface LoadedConnection {
  readonly name: string;
  readonly source: { readonly type: string; readonly title: string };
  readonly destination: { readonly type: string; readonly title: string; readonly place: string };
  /** Identifies the place of its copies in records of runs. */
  readonly copies: string;
  /** Connections with the same one share a process. */
  readonly worker: string;
  readonly schedule: SyncSchedule | null;
  /** Temporal starts its runs, by schedules of its own, and workers make them. */
  readonly isHandedOver: boolean;
  readonly verify: Schedule | null;
  readonly freshness: number | null;
  /** Its tables are read together: none can be synced alone. */
  readonly together: boolean;
  selects(table: string): boolean;
  /** Its settings are wrong, and there were none before that could be kept. */
  readonly error: ErrorReport | null;
  /** Changes whenever its settings do. */
  readonly version: string;
}

export interface Loaded {
  readonly configuration: Configuration;
  readonly settings: ServiceSettings;
  readonly connections: readonly LoadedConnection[];
}

/** What the service needs from its program. */
export interface Host {
  readonly version: string;
  /** The content of the file of connections and its environment, to see whether they changed. */
  text(): Promise<string>;
  /** Reads the file. Rejects if it is wrong as a whole. */
  load(): Promise<Loaded>;
  /** The runs of a connection that were recorded on this machine, newest first. */
  runs(connection: LoadedConnection): readonly RunRecord[];
  /** Another value whenever a run was recorded. */
  runsVersion(connection: LoadedConnection): string;
  /** Whether any process of this machine is running it now. */
  isUnderWay(connection: LoadedConnection): boolean;
  /** The log of a run; `null`: there is none on this machine. */
  runLog(connection: string, run: string): readonly LogLine[] | null;
  /** Starts a worker. */
  start(): ChildProcess;
  readonly log: Log;
  /** Milliseconds since 1970. */
  now(): number;
  /** What the service remembers over restarts. */
  readonly memory: Memory;
}

/** A small document in a file. */
export interface Memory {
  load(): Remembered;
  save(remembered: Remembered): void;
}

export interface Remembered {
  /** Connections that a person paused. */
  readonly paused: readonly string[];
  /** When a person resumed or changed a connection: earlier failures do not count. */
  readonly mended: Readonly<Record<string, string>>;
  /** The last run of a connection that a person stopped. Others that were stopped go on by themselves. */
  readonly stopped: Readonly<Record<string, string>>;
  /** What was sent, by webhook and matter. */
  readonly told: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export const nothingRemembered: Remembered = { paused: [], mended: {}, stopped: {}, told: {} };
