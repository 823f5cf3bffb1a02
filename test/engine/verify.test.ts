import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { Operation } from "../../src/protocol/operation.ts";
import type { Source } from "../../src/protocol/source.ts";
import { expect, test } from "vitest";
import { verify, type VerifyReport } from "../../src/engine/commands/verify.ts";
import { columns, MemorySource, noteColumn } from "./memory-source.ts";
import { rowsOf } from "../../src/toolkit/vectors.ts";
import { Copy } from "./harness.ts";

async function verified(copy: Copy, source: Source): Promise<VerifyReport> {
  await using warehouse = await copy.open();
  return await verify(copy.connection(source, warehouse), { signal: new AbortController().signal }, () => {});
}

function filled(): MemorySource {
  const source = new MemorySource();
  for (const table of ["t", "u"]) for (let id = 1; id <= 10; id++) source.put(table, id, `row ${id}`);
  return source;
}

test("a table that only the copy has is told", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  source.tables.delete("u");
  expect((await verified(copy, source)).tables).toMatchObject([
    { table: "t", verdict: "CONVERGED" },
    { table: "u", verdict: "NOT PROVEN", reasons: [expect.stringContaining("no longer shows")] },
  ]);
});

test.each([
  ["has a column more", { columns: [...columns, noteColumn] }],
  ["was made again", { identity: "2" }],
  ["has another key", { key: ["name"] }],
])("a table that %s since the last sync is not said to diverge", async (_, shape) => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  source.shapes.set("t", shape);
  expect((await verified(copy, source)).tables[0]).toMatchObject({
    verdict: "NOT PROVEN",
    reasons: [expect.stringContaining("altered")],
  });
});

test.each([
  ["that the table already has", 1, []],
  ["that the copy lacks", 2, [noteColumn]],
])("an inferred source that sends a schema with columns %s", async (_, readings, seen) => {
  const source = filled();
  await using copy = await Copy.make();
  const capabilities = { passes: ["full"], independentPath: false, schema: "inferred" } as const;
  await copy.sync(source, { capabilities });
  const read = source.read.bind(source);
  source.read = async function* withSchema(pass, split, state, how) {
    const [table] = pass.tables;
    yield { kind: "schema", table: { ...table!, columns: [...columns, ...seen] } };
    yield* read(pass, split, state, how);
  };
  await using warehouse = await copy.open();
  const events: string[] = [];
  const connection = copy.connection(source, warehouse, { capabilities });
  const report = await verify(connection, { signal: new AbortController().signal }, (event) => {
    if (event.kind === "verifying" && event.table === "t" && event.reading === 1) events.push(event.kind);
  });
  expect(report.tables[0]).toMatchObject({ table: "t", sourceRows: 10, copyRows: 10 });
  expect(events).toHaveLength(readings);
});

test("a source whose rows have new columns each time is not read for ever", async () => {
  const source = filled();
  await using copy = await Copy.make();
  const capabilities = { passes: ["full"], independentPath: false, schema: "inferred" } as const;
  await copy.sync(source, { capabilities });
  let number = 0;
  source.read = async function* withNewColumns(pass) {
    yield { kind: "schema", table: { ...pass.tables[0]!, columns: [{ ...noteColumn, name: `note_${++number}` }] } };
  };
  await using warehouse = await copy.open();
  const connection = copy.connection(source, warehouse, { capabilities });
  const report = await verify(connection, { signal: new AbortController().signal }, () => {});
  expect(report.tables[0]).toMatchObject({ verdict: "NOT PROVEN", reasons: [expect.stringContaining("new columns")] });
});

test("a key that the source gives twice with different values diverges; twice the same does not (case 2)", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  const read = source.read.bind(source);
  let name = "row 3";
  source.read = async function* withRowTwice(pass, split, state, how) {
    yield* read(pass, split, state, how);
    const [table] = pass.tables;
    const rows = rowsOf(table!.columns, [[3, name, 3n]]);
    if (table!.id === "t" && split.id === "0") yield { kind: "upsert", table: "t", rows };
  };
  expect((await verified(copy, source)).tables[0]).toMatchObject({
    verdict: "CONVERGED",
    reasons: ["All rows are equal; the source returned 1 of them more than once."],
  });
  name = "another row";
  expect((await verified(copy, source)).tables[0]).toMatchObject({
    verdict: "DIVERGED",
    reasons: [expect.stringContaining("KEY_DUPLICATE"), expect.stringContaining("differ in 1 rows"), expect.anything()],
    shown: expect.arrayContaining([expect.objectContaining({ kind: "repeated", key: { id: "3" } })]),
  });
});

test("a key that the source gives twice because it changed in between is NOT PROVEN (case 2)", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  const read = source.read.bind(source);
  let changes = 0;
  source.read = async function* withRowTwice(pass, split, state, how) {
    yield* read(pass, split, state, how);
    const [table] = pass.tables;
    if (table!.id !== "t" || split.id !== "0") return;
    const changed = [++changes, ++changes].map((n) => [3, `change ${n}`, BigInt(Date.now()) * 1_000n]);
    for (const row of changed) yield { kind: "upsert", table: "t", rows: rowsOf(table!.columns, [row]) };
  };
  const [verdict] = (await verified(copy, source)).tables;
  expect(verdict).toMatchObject({ verdict: "NOT PROVEN" });
  expect(verdict!.reasons.join(" ")).toContain("The source returned 1 keys more than once");
});

test("a tampered row behind many rows that moved is found and named (case 4)", async () => {
  const source = filled();
  for (let id = 1; id <= 300; id++) source.put("t", id, `row ${id}`);
  await using copy = await Copy.make();
  await copy.sync(source);
  const rows = source.tables.get("t")!;
  for (let id = 1; id <= 200; id++) rows.set(id, { id, name: "moved", changed: (Date.now() + 60_000) * 1_000 });
  await copy.write("UPDATE s.t SET name = 'tampered' WHERE id = 300");
  const { tables } = await verified(copy, source);
  expect(tables[0]).toMatchObject({ verdict: "DIVERGED", different: 201 });
  expect(tables[0]!.shown[0]).toMatchObject({ kind: "different", key: { id: "300" } });
});

test.each([["plan"], ["read"]] as const)(
  "a table whose %s fails does not take the verdict from the others (case 6)",
  async (step) => {
    const source = filled();
    await using copy = await Copy.make();
    await copy.sync(source);
    const failing = new HeadwatersError("VALUE_OUT_OF_RANGE", 'table "t" is bad', { hint: "Mend it." });
    const broken: Source = Object.assign(Object.create(source) as Source, {
      plan: (...given: Parameters<Source["plan"]>) =>
        step === "plan" && given[0][0]!.id === "t"
          ? Promise.reject(failing)
          : source.plan(given[0], given[1], given[2]),
      async *read(...given: Parameters<Source["read"]>): AsyncGenerator<Operation> {
        yield* source.read(...given);
        if (step === "read" && given[0].tables[0]!.id === "t") throw failing;
      },
    });
    expect(await verified(copy, broken)).toMatchObject({
      verdict: "NOT PROVEN",
      tables: [
        { table: "t", verdict: "NOT PROVEN", reasons: ['VALUE_OUT_OF_RANGE: table "t" is bad. Mend it.'] },
        { table: "u", verdict: "CONVERGED" },
      ],
    });
  },
);

test("a table without splits is compared as an empty table (case 6)", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  const plan = source.plan.bind(source);
  source.plan = async (...given) => ({ ...(await plan(...given)), splits: [] });
  const { tables } = await verified(copy, source);
  expect(tables).toMatchObject([
    { sourceRows: 0, copyRows: 10, extra: 10 },
    { sourceRows: 0, extra: 10 },
  ]);
});

test("a server that can't be reached ends the command", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  source.plan = () => Promise.reject(new HeadwatersError("LOGIN_FAILED", "the password is wrong"));
  await expect(verified(copy, source)).rejects.toMatchObject({ code: "LOGIN_FAILED" });
});

test("what the source alone changed is NOT PROVEN, with or without a version (case 5)", async () => {
  for (const version of ["changed", null]) {
    const source = filled();
    for (const table of ["t", "u"]) source.shapes.set(table, { version, cursor: version });
    await using copy = await Copy.make();
    await copy.sync(source);
    source.remove("t", 3);
    if (version === null) source.put("t", 4, "changed");
    expect((await verified(copy, source)).tables).toMatchObject([
      {
        table: "t",
        verdict: "NOT PROVEN",
        extra: 1,
        reasons: [expect.stringContaining("exactly as the last sync left it")],
      },
      { table: "u", verdict: "CONVERGED" },
    ]);
    // A window adds what it changes to the seal.
    source.put("t", 5, "changed");
    await copy.sync(source);
    source.remove("t", 6);
    expect((await verified(copy, source)).tables[0]).toMatchObject({ verdict: "NOT PROVEN", extra: 1 });
  }
});

test.each([
  ["INSERT INTO s.t SELECT 99, name, changed, _headwaters_synced, false FROM s.t WHERE id = 1", "extra", "99"],
  ["DELETE FROM s.t WHERE id = 4", "missing", "4"],
  ["UPDATE s.t SET name = 'tampered' WHERE id = 5", "different", "5"],
])(
  "a copy that was changed besides the source diverges, also after later syncs: %s (case 5)",
  async (sql, kind, id) => {
    const source = filled();
    await using copy = await Copy.make();
    await copy.sync(source, { settings: { deletes: "never" } });
    await copy.write(sql);
    source.remove("t", 3);
    const expected = {
      verdict: "DIVERGED",
      reasons: expect.arrayContaining(["Something other than a sync changed the copy."]),
      shown: expect.arrayContaining([expect.objectContaining({ kind, key: { id } })]),
    };
    expect((await verified(copy, source)).tables[0]).toMatchObject(expected);
    source.put("t", 7, "changed");
    await copy.sync(source, { settings: { deletes: "never" } });
    expect((await verified(copy, source)).tables[0]).toMatchObject(expected);
    await copy.sync(source, { full: true });
    expect((await verified(copy, source)).tables[0]).toMatchObject({ verdict: "CONVERGED" });
  },
);

test("a copy without a seal: an extra row is NOT PROVEN, other differences diverge (case 5)", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  await copy.write("DELETE FROM _headwaters.seals");
  source.remove("t", 3);
  expect((await verified(copy, source)).tables[0]).toMatchObject({ verdict: "NOT PROVEN", extra: 1 });
  source.put("t", 4, "changed long ago");
  expect((await verified(copy, source)).tables[0]).toMatchObject({ verdict: "DIVERGED", extra: 1, different: 1 });
});

test("verify works while a sync goes on, and tells it from a difference", async () => {
  const source = filled();
  await using copy = await Copy.make();
  await copy.sync(source);
  source.put("t", 3, "changed");
  source.remove("u", 3);
  await using held = await copy.open();
  await held.acquire({ host: "elsewhere", pid: 1, since: "2024-01-01T00:00:00Z" });
  expect((await verified(copy, source)).tables).toMatchObject([{ different: 1 }, { extra: 1, verdict: "NOT PROVEN" }]);
  await held[Symbol.asyncDispose]();
  // A whole sync, between the two readings.
  await using open = await copy.open();
  const read = source.read.bind(source);
  let readings = 0;
  source.read = async function* withSync(pass, split, state, how) {
    if (how.path === "independent" && pass.tables[0]!.id === "t" && ++readings === 3) await copy.sync(source);
    yield* read(pass, split, state, how);
  };
  const report = await verify(copy.connection(source, open), { signal: new AbortController().signal }, () => {});
  expect(report.tables[0]).toMatchObject({
    verdict: "NOT PROVEN",
    reasons: [expect.stringContaining("A sync wrote to the copy while it was compared")],
  });
});
