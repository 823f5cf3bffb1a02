import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const own = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Suites that take minutes each. `npm run test:long` runs them. */
const long = "test/**/*.long{,.server}.test.ts";
/** They need Temporal's own server, which Go builds once a machine. `npm run test:cluster` runs them. */
const cluster = "test/cluster/**/*.server.test.ts";

const suites = (name: string, include: readonly string[], exclude: readonly string[] = []): object => ({
  // As in the published package, but from the sources: examples import what their readers do.
  resolve: {
    alias: { "headwaters/testing": own("src/testing/index.ts"), headwaters: own("src/sdk/index.ts") },
  },
  test: {
    name,
    include,
    exclude: [...configDefaults.exclude, ...exclude],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
  },
});

export default defineConfig({
  test: {
    globalSetup: ["test/servers/setup.ts"],
    maxWorkers: 2,
    projects: [
      suites("short", ["src/**/*.test.ts", "test/**/*.test.ts", "examples/**/*.test.ts"], [long, cluster]),
      suites("long", [long]),
      suites("cluster", [cluster]),
    ],
  },
});
