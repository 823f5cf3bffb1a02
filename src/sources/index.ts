import type { SourceDefinition } from "../protocol/source.ts";

/** A source. It is loaded, with its driver, only if a configuration names it. */
export interface SourceEntry {
  /** The name as people write it. */
  readonly title: string;
  load(): Promise<SourceDefinition>;
}

/** All sources, by the name that users give. */
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

/** The registry's name for a name that users give; an unknown name is returned unchanged. */
export function sourceName(given: string): string {
  return Object.hasOwn(aliases, given) ? aliases[given]! : given;
}
