import type { ConnectionReport, LogLine, Run, ServiceEvent, TableProgress } from "../service/api.ts";
import type { ServiceReport } from "./api.ts";
import type { Link } from "./stream.ts";

/** Everything that the page knows about the service. */
export interface State {
  readonly link: Link;
  /** The versions of the service that said hello. More than one: the page is older than the service. */
  readonly versions: readonly string[];
  /** How often the service said hello: each time, everything is read again. */
  readonly hellos: number;
  readonly service: ServiceReport | null;
  /** `null`: not read yet. */
  readonly connections: ReadonlyMap<string, ConnectionReport> | null;
  /** The run under way of a connection, or its last one. */
  readonly progress: ReadonlyMap<string, RunProgress>;
  /** The runs in events since the service said hello, newest first, by connection. */
  readonly runs: ReadonlyMap<string, readonly Run[]>;
  /** What runs under way have logged since the page is open, the newest lines, by run. */
  readonly logs: ReadonlyMap<string, readonly LogLine[]>;
}

interface RunProgress {
  readonly run: string;
  readonly tables: ReadonlyMap<string, TableProgress>;
}

/** What changes the state: events of the service, and answers to requests. */
export type Change =
  | ServiceEvent
  | { readonly kind: "link"; readonly link: Link }
  | { readonly kind: "service"; readonly service: ServiceReport }
  | {
      readonly kind: "connections";
      readonly connections: readonly ConnectionReport[];
      /** The state at the time of the request. Changes by events since then are newer than the answer. */
      readonly before: State["connections"];
    };

export const initial: State = {
  link: { state: "connecting" },
  versions: [],
  hellos: 0,
  service: null,
  connections: null,
  progress: new Map(),
  runs: new Map(),
  logs: new Map(),
};

/** How much of the events is kept: what a person reads, not an archive. */
const keptRuns = 200;
const keptLines = 2_000;
const keptLogs = 20;

export function reduce(state: State, change: Change): State {
  switch (change.kind) {
    case "link":
      return { ...state, link: change.link };
    case "service":
      return { ...state, service: change.service };
    case "connections":
      return { ...state, connections: answered(state.connections, change) };
    case "hello":
      return {
        ...state,
        hellos: state.hellos + 1,
        versions: state.versions.includes(change.version) ? state.versions : [...state.versions, change.version],
        // Both may have a gap.
        runs: new Map(),
        logs: new Map(),
      };
    case "connection":
      return { ...state, connections: withEntry(state.connections, change.connection.name, change.connection) };
    case "removed":
      return { ...state, connections: without(state.connections ?? new Map(), change.connection) };
    case "run":
      return { ...state, runs: withEntry(state.runs, change.run.connection, told(state, change.run)) };
    case "progress":
      return { ...state, progress: withEntry(state.progress, change.connection, progressed(state, change)) };
    case "log":
      return { ...state, logs: logged(state.logs, change.run, change.line) };
    case "configuration":
      return state.service === null ? state : { ...state, service: { ...state.service, configuration: change.error } };
  }
}

function answered(
  now: State["connections"],
  { connections, before }: Extract<Change, { kind: "connections" }>,
): State["connections"] {
  const all = new Map(connections.map((one) => [one.name, one]));
  for (const [name, one] of now ?? []) if (one !== before?.get(name)) all.set(name, one);
  for (const name of before?.keys() ?? []) if (now?.has(name) !== true) all.delete(name);
  return all;
}

function progressed({ progress }: State, change: Extract<Change, { kind: "progress" }>): RunProgress {
  const known = progress.get(change.connection);
  const tables = new Map(known?.run === change.run ? known.tables : []);
  for (const table of change.tables) tables.set(table.table, table);
  return { run: change.run, tables };
}

function told({ runs }: State, run: Run): readonly Run[] {
  const others = (runs.get(run.connection) ?? []).filter(({ id }) => id !== run.id);
  return [run, ...others].slice(0, keptRuns);
}

function logged(logs: State["logs"], run: string, line: LogLine): State["logs"] {
  const lines = [...(logs.get(run) ?? []).slice(1 - keptLines), line];
  const others = [...without(logs, run)].slice(1 - keptLogs);
  return new Map([...others, [run, lines]]);
}

function withEntry<Value>(map: ReadonlyMap<string, Value> | null, key: string, value: Value): Map<string, Value> {
  return new Map(map ?? []).set(key, value);
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): Map<string, Value> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

/** Holds the state, and tells those who subscribed about changes, at most once a frame. */
export class Store {
  state: State = initial;
  readonly #listeners = new Set<() => void>();
  readonly #schedule: (tell: () => void) => void;
  #scheduled = false;

  constructor(schedule: (tell: () => void) => void) {
    this.#schedule = schedule;
  }

  apply = (change: Change): void => {
    this.state = reduce(this.state, change);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      for (const listener of this.#listeners) listener();
    });
  };

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}
