import { expect, test } from "vitest";
import { verify } from "../../src/engine/commands/verify.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import { Copy, expected } from "./harness.ts";
import { filled, type MemorySource } from "./memory-source.ts";

const signal = new AbortController().signal;

/** Tables `t` and `u`, of which the source refuses `t`. */
function refusing(): MemorySource {
  const source = filled(5);
  source.put("u", 1, "one");
  source.shapes.set("t", { refused: new HeadwatersError("CURSOR_INVALID", 'table "t": there is no column "seen_at"') });
  return source;
}

test("a table that the source can't describe fails alone, and its copy is left as it is (case 13)", async () => {
  await using copy = await Copy.make();
  await copy.sync(filled(5));
  const source = refusing();
  const run = await copy.sync(source);
  expect(run.outcome).toBe("failed");
  expect(run.tables).toMatchObject([
    { table: "u", outcome: "whole", inserted: 1 },
    { table: "t", outcome: "failed", error: { code: "CURSOR_INVALID" } },
  ]);
  expect(await copy.rows("u")).toEqual(expected(source, "u"));
  expect(await copy.rows("t")).toEqual(expected(source, "t"));
  expect((await copy.sync(source, { only: ["u"] })).outcome).toBe("succeeded");
  await using warehouse = await copy.open();
  const { verdict, tables } = await verify(copy.connection(source, warehouse), { signal }, () => {});
  expect(verdict).toBe("NOT PROVEN");
  expect(tables.map((one) => [one.table, one.verdict, one.reasons[0]]).sort()).toEqual([
    ["t", "NOT PROVEN", expect.stringMatching(/^CURSOR_INVALID: table "t"/)],
    ["u", "CONVERGED", "All 1 rows are equal."],
  ]);
});

test("a table that is refused while it is planned again fails alone (case 13)", async () => {
  await using copy = await Copy.make();
  const source = filled(5);
  source.put("u", 1, "one");
  source.onOperation = (_, split) => {
    if (split.tables[0] !== "t" || source.shapes.size > 0) return;
    source.shapes.set("t", { refused: new HeadwatersError("CURSOR_INVALID", "it was renamed") });
    throw new HeadwatersError("TABLE_CHANGED", "the table was altered");
  };
  const run = await copy.sync(source);
  expect(run.tables).toMatchObject([
    { table: "t", outcome: "failed", error: { code: "CURSOR_INVALID" } },
    { table: "u", outcome: "whole" },
  ]);
});

test("a table that went while its first pass was open, and that tables.include names, fails alone (case 13)", async () => {
  await using copy = await Copy.make();
  const source = filled(30);
  source.put("u", 1, "one");
  const stop = new AbortController();
  const settings = { commitMilliseconds: 1, parallel: 1 };
  source.onOperation = (count) => {
    if (count === 12) stop.abort();
  };
  const selection = { include: ["t", "u"], exclude: [] };
  await copy.sync(source, { signal: stop.signal, settings, selection });
  source.onOperation = () => {};
  source.tables.delete("t");
  const run = await copy.sync(source, { selection });
  expect(run.tables).toMatchObject(
    expect.arrayContaining([
      expect.objectContaining({
        table: "t",
        outcome: "failed",
        error: expect.objectContaining({ code: "TABLE_UNKNOWN" }),
      }),
      expect.objectContaining({ table: "u", outcome: "whole" }),
    ]),
  );
  await using warehouse = await copy.open();
  const report = await verify(copy.connection(source, warehouse, { selection }), { signal }, () => {});
  expect(report.tables.map(({ table, verdict }) => `${table} ${verdict}`).sort()).toEqual([
    "t NOT PROVEN",
    "u CONVERGED",
  ]);
});

test("after an error of the destination at one table no other table begins in that round (case 12)", async () => {
  await using copy = await Copy.make();
  const source = filled(1);
  for (let table = 0; table < 40; table++) source.put(`t${table}`, 1, "one");
  const planned: string[] = [];
  const held = new Set<string>();
  let most = 0;
  const { plan } = source;
  source.plan = async (...given) => {
    const { id } = given[0][0]!;
    planned.push(id);
    held.add(id);
    most = Math.max(most, held.size);
    return plan.apply(source, given);
  };
  const watched = Object.assign(source, {
    async release(tables: readonly string[]) {
      for (const id of tables) held.delete(id);
    },
  });
  const run = await copy.sync(watched, {
    settings: { parallel: 4 },
    wrap: (warehouse) => ({
      ...warehouse,
      async begin(...parameters) {
        const transaction = await warehouse.begin(...parameters);
        const { open } = transaction;
        transaction.open = async (pass) => {
          if (/[05]$/.test(pass.tables[0]!.id)) throw new HeadwatersError("DESTINATION_FAILED", "no room for this one");
          return open.call(transaction, pass);
        };
        return transaction;
      },
    }),
  });
  const failed = run.tables.filter(({ outcome }) => outcome === "failed").map(({ table }) => table);
  expect(failed).toEqual([...source.tables.keys()].filter((id) => /[05]$/.test(id)));
  expect(run.tables.filter(({ outcome }) => outcome === "whole")).toHaveLength(41 - failed.length);
  expect(most).toBeLessThanOrEqual(4);
  expect(held.size).toBe(0);
  // Fewer and fewer are undone with those that fail.
  expect(planned.length).toBeLessThanOrEqual(41 + 32 + 16 + 8 + 4 * failed.length);
});

test("a commit of several tables that fails costs only the table that it fails by (case 14)", async () => {
  await using copy = await Copy.make();
  const source = filled(1);
  for (let table = 0; table < 12; table++) source.put(`t${table}`, 1, "one");
  const run = await copy.sync(source, {
    wrap: (warehouse) => ({
      ...warehouse,
      async begin(...parameters) {
        const transaction = await warehouse.begin(...parameters);
        const { commit, write } = transaction;
        const written = new Set<string>();
        transaction.write = async (pass, split, operation) => {
          written.add(pass.tables[0]!.id);
          return write.call(transaction, pass, split, operation);
        };
        transaction.commit = async (progress) => {
          if (written.has("t5")) throw new HeadwatersError("DESTINATION_UNUSABLE", "it needs more memory");
          return commit.call(transaction, progress);
        };
        return transaction;
      },
    }),
  });
  expect(run.tables.flatMap(({ table, outcome }) => (outcome === "whole" ? [] : [table]))).toEqual(["t5"]);
  expect(await copy.rows("t11")).toEqual({ 1: "one" });
});

test("a sync whose lease another one took ends as what may pass, without another try (case 32)", async () => {
  await using copy = await Copy.make();
  let commits = 0;
  const syncing = copy.sync(filled(5), {
    wrap: (warehouse) => ({
      ...warehouse,
      async begin(...parameters) {
        const transaction = await warehouse.begin(...parameters);
        transaction.commit = async () => {
          commits += 1;
          throw new HeadwatersError("LEASE_LOST", "another writer took the connection over");
        };
        return transaction;
      },
    }),
  });
  await expect(syncing).rejects.toMatchObject({ code: "LEASE_LOST", remedy: "retry" });
  // The plan's, and that of the record of the failure.
  expect(commits).toBeLessThanOrEqual(2);
});
