import { test } from "vitest";
import { startFront } from "../servers/front.ts";
import { describeWith } from "../servers/require.ts";
import { filledPostgresql } from "./kinds.ts";
import { faults, struck } from "./strike.ts";

await describeWith(
  filledPostgresql,
  "PostgreSQL as destination, in the middle of a transfer (cases 17, 18)",
  (server) => {
    test.each(faults)("$what", { timeout: 120_000 }, async (fault) => {
      await using front = await startFront(server);
      await struck(front, fault, server.source(server.port), server.destination(front.port));
    });
  },
);
