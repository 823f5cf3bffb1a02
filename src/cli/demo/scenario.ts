import type { Session } from "../session.ts";

/** The database of a demo. It is filled, copied, changed, and copied again. */
export interface Scenario extends AsyncDisposable {
  /** A sentence that says where the database is. */
  readonly where: string;
  /** The source of the connection, as in a configuration. */
  readonly source: Readonly<Record<string, unknown>>;
  /** The number of rows that the first sync copies. */
  readonly rows: number;
  /** The effect of {@link change} on the rows of the copy. */
  readonly changes: readonly Change[];
  /** A query over the copy. */
  readonly query: string;
  /** Fills the empty database. Resolves to a description for people. */
  fill(signal: AbortSignal): Promise<string>;
  /** Makes the changes of `changes`. Resolves to the number of rows that each one changed. */
  change(signal: AbortSignal): Promise<readonly number[]>;
}

export interface Change {
  readonly table: string;
  readonly what: "inserted" | "updated" | "deleted";
  readonly rows: number;
  /** For people. */
  readonly told: string;
}

/** The options of a demo. */
export interface ScenarioOptions {
  /** The address of a running server; `null`: one is started. */
  readonly server: string | null;
}

export interface ScenarioEntry {
  /** The title of the first step. */
  readonly title: string;
  start(session: Session, options: ScenarioOptions): Promise<Scenario>;
}

/** All demos, by the name of their source. Drivers are loaded only for the demo that runs. */
export const scenarios: Readonly<Record<string, ScenarioEntry>> = {
  yugabytedb: {
    title: "Starting a real PostgreSQL 15, a stand-in for YugabyteDB: they speak the same protocol",
    start: async (session, options) => (await import("./postgresql.ts")).startIndustry(session, options, "yugabytedb"),
  },
  postgresql: {
    title: "Starting a real PostgreSQL 15",
    start: async (session, options) => (await import("./postgresql.ts")).startIndustry(session, options, "postgresql"),
  },
  dragonflydb: {
    title: "Finding a server of the Redis protocol, as DragonflyDB speaks it",
    start: async (session, options) => (await import("./redis.ts")).startShop(session, options, "dragonflydb"),
  },
  redis: {
    title: "Finding a Redis: the one you name, or a server of its protocol",
    start: async (session, options) => (await import("./redis.ts")).startShop(session, options, "redis"),
  },
  valkey: {
    title: "Finding a Valkey: the one you name, or a server of its protocol",
    start: async (session, options) => (await import("./redis.ts")).startShop(session, options, "valkey"),
  },
  cassandra: {
    title: "Finding a Cassandra: the one you name, or one of our own",
    start: async (session, options) => (await import("./samples.ts")).startSamples(session, options, "cassandra"),
  },
  scylladb: {
    title: "Finding a ScyllaDB: the one you name, or Cassandra, which speaks the same protocol",
    start: async (session, options) => (await import("./samples.ts")).startSamples(session, options, "scylladb"),
  },
  rethinkdb: {
    title: "Reaching the RethinkDB that you name",
    start: async (session, options) => (await import("./rethinkdb.ts")).startCollaboration(session, options),
  },
};
