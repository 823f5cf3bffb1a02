import { describe, expect, test } from "vitest";
import { allowedPageSize, CqlServerError, isLevelRefused, serverErrors } from "../../../src/wire/cql/server-error.ts";
import { startOwnCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { Copy } from "./copying.ts";

const guardrails = { read_consistency_levels_disallowed: ["ALL", "LOCAL_ONE"], page_size_fail_threshold: 100 };

await describeWith(
  // Guardrails do not count for superusers, and without passwords everybody is one.
  () => startOwnCassandra({ settings: guardrails, passwords: true }),
  "a cluster with guardrails (case 22)",
  (server) => {
    test(
      "is read in the pages that it allows, and deletes are confirmed at the next level",
      { timeout: 180_000 },
      async () => {
        await server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
        await server.runAll(
          "INSERT INTO t (id, v) VALUES (?, ?)",
          Array.from({ length: 400 }, (_, id) => [id, `value ${id}`]),
        );
        await server.run("CREATE ROLE reader WITH PASSWORD = 'pw' AND LOGIN = true");
        await server.run("GRANT SELECT ON t TO reader");
        await using copy = await Copy.make(server);
        const reader = { username: "reader", password: "pw" };
        expect((await copy.sync(reader))["t"]).toMatchObject({ outcome: "whole", error: null });
        await server.run("DELETE FROM t WHERE id = 7");
        await server.run("INSERT INTO t (id, v) VALUES (8, 'other')");
        expect((await copy.sync(reader))["t"]).toMatchObject({ outcome: "whole", deleted: 1, updated: 1 });
        expect(copy.warnings.join("\n")).toContain("rows are confirmed by key at QUORUM");
        expect((await copy.verify(reader)).verdict).toBe("CONVERGED");
      },
    );
  },
);

describe("what guardrails say (case 22)", () => {
  test.each([
    [
      "Guardrail read_consistency_levels violated: Provided values [ALL] are not allowed for read consistency levels",
      true,
    ],
    ["Consistency level ALL is not allowed for reads", true],
    ["Undefined column name v in table k.t", false],
  ])("%s", (message, refused) => {
    expect(isLevelRefused(new CqlServerError(serverErrors.invalid, message, 4))).toBe(refused);
  });

  test.each([
    ["Guardrail page_size violated: Aborting query for table t, page size 5000 exceeds fail threshold of 100.", 100],
    ["the page size is too large", 2_500],
    ["Undefined column name v in table k.t", null],
  ])("%s", (message, rows) => {
    expect(allowedPageSize(new CqlServerError(serverErrors.invalid, message, 4), 5_000)).toBe(rows);
  });
});
