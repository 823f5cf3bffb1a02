import type { DestinationDefinition } from "../protocol/destination.ts";

/** A destination. It is loaded, with its driver, only when a configuration names it. */
export interface DestinationEntry {
  /** The name in messages and pages. */
  readonly title: string;
  load(): Promise<DestinationDefinition>;
}

/** All destinations, by their names in the configuration. */
export const destinations: Readonly<Record<string, DestinationEntry>> = {
  duckdb: {
    title: "DuckDB",
    load: async () => (await import("./duckdb/index.ts")).definition,
  },
  ducklake: {
    title: "DuckLake",
    load: async () => (await import("./ducklake/index.ts")).definition,
  },
  postgresql: {
    title: "PostgreSQL",
    load: async () => (await import("./postgresql/index.ts")).definition,
  },
};
