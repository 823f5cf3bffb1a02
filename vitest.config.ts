import process from "node:process";
import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const own = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // As in the published package, but from the sources: examples import what their readers do.
  resolve: {
    alias: { "headwaters/testing": own("src/testing/index.ts"), headwaters: own("src/sdk/index.ts") },
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "examples/**/*.test.ts"],
    // A job of its own: Temporal's server takes ten minutes to build.
    exclude: [
      ...configDefaults.exclude,
      ...(process.env["HEADWATERS_CLUSTER"] === undefined ? ["test/cluster/**/*.server.test.ts"] : []),
    ],
    globalSetup: ["test/servers/setup.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
