import { test } from "vitest";
import { startFront } from "../servers/front.ts";
import { describeWith } from "../servers/require.ts";
import { type Filled, kinds } from "./kinds.ts";
import { faults, struck } from "./strike.ts";

for (const [name, start] of Object.entries(kinds)) {
  await describeWith(start, `${name}, in the middle of a transfer (cases 17, 18)`, (server: Filled) => {
    test.each(faults)("$what", { timeout: 120_000 }, async (fault) => {
      await using front = await startFront(server);
      await struck(front, fault, server.source(front.port), "duckdb:copy.duckdb");
    });
  });
}
