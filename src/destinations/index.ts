import type { DestinationDefinition } from "../protocol/destination.ts";

/** A destination that is loaded, with its driver, only when a configuration names it. */
export interface DestinationEntry {
  /** As people write it. */
  readonly title: string;
  load(): Promise<DestinationDefinition>;
}

/** Every destination there is, by the name that users give. */
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
