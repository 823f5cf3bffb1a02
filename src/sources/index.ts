import type { SourceDefinition } from "../protocol/source.ts";

/** A source that is loaded, with its driver, only when a configuration names it. */
export interface SourceEntry {
  /** As people write it. */
  readonly title: string;
  load(): Promise<SourceDefinition>;
}

/** Every source there is, by the name that users give. */
export const sources: Readonly<Record<string, SourceEntry>> = {
  cassandra: {
    title: "Cassandra",
    load: async () => (await import("./cassandra/index.ts")).definition,
  },
  scylladb: {
    title: "ScyllaDB",
    load: async () => (await import("./scylladb/index.ts")).definition,
  },
  postgresql: {
    title: "PostgreSQL",
    load: async () => (await import("./postgresql/index.ts")).definition,
  },
  yugabytedb: {
    title: "YugabyteDB",
    load: async () => (await import("./yugabytedb/index.ts")).definition,
  },
  rethinkdb: {
    title: "RethinkDB",
    load: async () => (await import("./rethinkdb/index.ts")).definition,
  },
  redis: {
    title: "Redis",
    load: async () => (await import("./redis/index.ts")).definition,
  },
  valkey: {
    title: "Valkey",
    load: async () => (await import("./valkey/index.ts")).definition,
  },
  dragonflydb: {
    title: "DragonflyDB",
    load: async () => (await import("./dragonflydb/index.ts")).definition,
  },
};

/** Other names that users give. */
export const aliases: Readonly<Record<string, string>> = { postgres: "postgresql" };

/** The name in the registry that is meant by one that was given; itself where it is an unknown one. */
export function sourceName(given: string): string {
  return Object.hasOwn(aliases, given) ? aliases[given]! : given;
}
