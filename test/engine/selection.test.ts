import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TableSettings } from "../../src/engine/connection.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import { reset } from "../../src/engine/commands/reset.ts";
import { verify } from "../../src/engine/commands/verify.ts";
import { selects } from "../../src/toolkit/patterns.ts";
import { Copy } from "./harness.ts";
import { columns, type MemoryRow, MemorySource, noteColumn } from "./memory-source.ts";

const slow = { timeout: 180_000 };

type Row = Readonly<Record<string, unknown>>;

/** A choice that a user may make of table `t`. */
interface Choice {
  readonly filter: keyof typeof filters;
  readonly columns: keyof typeof selections;
  readonly rename: keyof typeof names;
}

const filters = { all: null, even: ({ id }: MemoryRow) => id % 2 === 0, small: ({ id }: MemoryRow) => id <= 6 };
const selections = {
  all: null,
  "without note": { include: [], exclude: ["no*"] },
  "some by name": { include: ["id", "changed", "note"], exclude: [] },
};
const names = { none: {}, one: { name: "title" }, swapped: { name: "note", note: "name" } } as const;

function settingsOf({ filter, columns, rename }: Choice): TableSettings {
  const selected = selections[columns];
  const renamed = Object.entries(names[rename]).filter(([name]) => selected === null || selects(selected, name));
  return {
    ...(filter === "all" ? {} : { filter }),
    ...(selected === null ? {} : { columns: selected }),
    ...(renamed.length === 0 ? {} : { renameColumns: Object.fromEntries(renamed) }),
  };
}

function source(rows: number): MemorySource {
  const made = new MemorySource();
  made.shapes.set("t", { columns: [...columns, noteColumn] });
  for (let id = 1; id <= rows; id++) made.put("t", id, `row ${id}`);
  return made;
}

function apply(made: MemorySource, { filter }: Choice): void {
  const fulfils = filters[filter];
  if (fulfils === null) made.filters.delete("t");
  else made.filters.set("t", fulfils);
}

/** The copy's live rows by key, all columns but the system's. */
async function live(copy: Copy): Promise<Map<number, Row>> {
  const rows = await copy.query(
    "SELECT * EXCLUDE (changed, _headwaters_synced, _headwaters_deleted) FROM s.t WHERE NOT _headwaters_deleted ORDER BY id",
  );
  return new Map(rows.map((row) => [row["id"] as number, row]));
}

/** What the copy must hold: columns of earlier choices are there, but NULL. */
function expectedRows(made: MemorySource, choice: Choice): Map<number, Row> {
  const selected = selections[choice.columns];
  const renamed: Readonly<Record<string, string>> = names[choice.rename];
  const kept = ["id", "name", "note"].filter((name) => selected === null || selects(selected, name));
  const fulfils = filters[choice.filter] ?? (() => true);
  const rows = [...made.tables.get("t")!.values()].filter(fulfils).sort((a, b) => a.id - b.id);
  return new Map(
    rows.map((row) => {
      const values: Row = { id: row.id, name: row.name, note: `note on ${row.name}` };
      return [row.id, Object.fromEntries(kept.map((name) => [renamed[name] ?? name, values[name]]))];
    }),
  );
}

/** Without the columns that are NULL. */
function filled(rows: Map<number, Row>): Map<number, Row> {
  const values = (row: Row): Row => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
  return new Map([...rows].map(([id, row]) => [id, values(row)]));
}

/** Fails before operation `at` of the source, as nothing that could be tried again; `null`: never. */
function cutAt(made: MemorySource, at: number | null): void {
  made.operations = 0;
  made.onOperation = (count) => {
    if (count === at) throw new HeadwatersError("SOURCE_FAILED", "cut");
  };
}

describe("what the user selects", () => {
  test(
    "a change of it takes nothing from the copy until the user agrees, and then all that it says",
    slow,
    async () => {
      const parts = {
        filter: fc.constantFrom<Choice["filter"]>("all", "even", "small"),
        columns: fc.constantFrom<Choice["columns"]>("all", "without note", "some by name"),
        rename: fc.constantFrom<Choice["rename"]>("none", "one", "swapped"),
      };
      const id = fc.option(fc.integer({ min: 1, max: 12 }));
      const step = fc.record({
        change: fc.oneof<fc.Arbitrary<Partial<Choice>>[]>(
          fc.constant({}),
          fc.record({ filter: parts.filter }),
          fc.record({ columns: parts.columns }),
          fc.record({ rename: parts.rename }),
        ),
        put: id,
        remove: id,
        agreed: fc.boolean(),
        /** The operation of the source at which the sync is cut. */
        cut: fc.option(fc.integer({ min: 1, max: 8 })),
      });
      let refusals = 0;
      await fc.assert(
        fc.asyncProperty(fc.record(parts), fc.array(step, { minLength: 1, maxLength: 6 }), async (first, steps) => {
          const made = source(8);
          await using copy = await Copy.make();
          let choice: Choice = first;
          apply(made, choice);
          await copy.sync(made, { tables: { t: settingsOf(choice) } });
          for (const { change, put, remove, agreed, cut } of steps) {
            choice = { ...choice, ...change };
            apply(made, choice);
            if (put !== null) made.put("t", put, `written ${made.operations}`);
            if (remove !== null) made.remove("t", remove);
            const before = filled(await live(copy));
            cutAt(made, cut);
            const run = await copy.sync(made, { tables: { t: settingsOf(choice) }, acceptScope: agreed });
            cutAt(made, null);
            if (agreed) continue;
            const after = filled(await live(copy));
            if (run.tables[0]!.error?.code === "SCOPE_CHANGED") {
              refusals += 1;
              expect(after).toEqual(before);
            }
            // What the source still has is still there, in every column that the copy had.
            for (const [key, row] of before) {
              if (made.tables.get("t")!.has(key))
                expect(Object.keys(after.get(key) ?? {})).toEqual(expect.arrayContaining(Object.keys(row)));
            }
          }
          for (const acceptScope of [true, false]) {
            await copy.sync(made, { tables: { t: settingsOf(choice) }, acceptScope });
            expect(filled(await live(copy))).toEqual(expectedRows(made, choice));
          }
        }),
        { numRuns: 30 },
      );
      expect(refusals).toBeGreaterThan(0);
    },
  );

  test("a column that is left out is not read; verify proves the rest", slow, async () => {
    const made = source(20);
    await using copy = await Copy.make();
    const tables = { t: { columns: { include: [], exclude: ["note"] }, renameColumns: { name: "title", id: "key" } } };
    expect((await copy.sync(made, { tables })).outcome).toBe("succeeded");
    made.put("t", 3, "three");
    made.remove("t", 4);
    expect((await copy.sync(made, { tables })).tables[0]).toMatchObject({ updated: 1, deleted: 1 });
    const [row] = await copy.query("SELECT * FROM s.t WHERE key = 3");
    expect(Object.keys(row!)).toEqual(["key", "title", "changed", "_headwaters_synced", "_headwaters_deleted"]);
    expect(row!["title"]).toBe("three");
    await using warehouse = await copy.open();
    const never = { signal: new AbortController().signal };
    const connection = copy.connection(made, warehouse, { tables });
    expect((await verify(connection, never, () => {})).verdict).toBe("CONVERGED");
    const other = copy.connection(made, warehouse, { tables: { t: { filter: "x" } } });
    expect((await verify(other, never, () => {})).tables[0]).toMatchObject({
      verdict: "NOT PROVEN",
      reasons: [expect.stringContaining("another selection")],
    });
  });

  test("a column that comes back is filled, also after its leaving was cut short", slow, async () => {
    const made = source(10);
    await using copy = await Copy.make();
    const fewer = { tables: { t: { columns: { include: [], exclude: ["note"] } } } };
    await copy.sync(made);
    cutAt(made, 2);
    await copy.sync(made, { ...fewer, acceptScope: true });
    cutAt(made, null);
    await copy.sync(made);
    expect((await live(copy)).get(1)).toMatchObject({ note: "note on row 1" });
    await copy.sync(made, { ...fewer, acceptScope: true });
    expect((await live(copy)).get(1)).toMatchObject({ note: null });
    expect((await copy.sync(made)).tables[0]).toMatchObject({ passes: ["full"], outcome: "whole" });
    expect((await live(copy)).get(1)).toMatchObject({ note: "note on row 1" });
  });

  test("a row that leaves the filter is deleted by the next sweep", slow, async () => {
    const made = source(10);
    made.filters.set("t", ({ name }) => name.startsWith("row"));
    await using copy = await Copy.make();
    const tables = { t: { filter: "row" } };
    await copy.sync(made, { tables });
    made.put("t", 5, "other");
    expect((await copy.sync(made, { tables })).tables[0]).toMatchObject({ deleted: 1 });
    made.put("t", 5, "row again");
    expect((await copy.sync(made, { tables })).tables[0]).toMatchObject({ inserted: 1 });
    expect((await live(copy)).get(5)).toMatchObject({ name: "row again" });
  });

  test("each table has its own mode, deletes and delete limit", slow, async () => {
    const made = source(10);
    for (let id = 1; id <= 10; id++) {
      made.put("u", id, `u ${id}`);
      made.put("v", id, `v ${id}`);
    }
    await using copy = await Copy.make();
    const tables: Readonly<Record<string, TableSettings>> = {
      t: { mode: "full" },
      u: { settings: { deletes: "never" } },
      v: { settings: { maxDeleteFraction: 0.2 } },
    };
    await copy.sync(made, { tables });
    for (const name of ["t", "u", "v"]) for (const id of [1, 2, 3]) made.remove(name, id);
    const run = await copy.sync(made, { tables });
    expect(
      run.tables.map(({ table, passes, deleted, outcome }) => [table, passes.join(" "), deleted, outcome]),
    ).toEqual([
      ["t", "full", 3, "whole"],
      ["u", "window", 0, "whole"],
      ["v", "window keys", 0, "failed"],
    ]);
    expect(run.tables[2]!.error?.code).toBe("DELETES_STOPPED");
  });

  test("a table whose settings don't fit fails by itself", slow, async () => {
    const made = source(3);
    made.put("u", 1, "one");
    await using copy = await Copy.make();
    const run = await copy.sync(made, { tables: { t: { columns: { include: ["name"], exclude: [] } } } });
    expect(run.tables.map(({ table, outcome }) => [table, outcome])).toEqual([
      ["u", "whole"],
      ["t", "failed"],
    ]);
    expect(run.tables[1]!.error?.message).toContain('"id" is left out');
  });

  test("block_all stops a table at a new column of the source, not at one that the user adds", slow, async () => {
    const made = source(3);
    await using copy = await Copy.make();
    const blocked = { settings: { schemaChanges: "block_all" } } as const;
    const without = { columns: { include: [], exclude: ["note"] } };
    await copy.sync(made, { tables: { t: { ...blocked, ...without } } });
    expect((await copy.sync(made, { tables: { t: blocked } })).tables[0]).toMatchObject({
      outcome: "whole",
      updated: 3,
    });
    const extra = { name: "extra", type: { kind: "INT" }, nullable: true } as const;
    made.shapes.set("t", { columns: [...columns, noteColumn, extra] });
    expect((await copy.sync(made, { tables: { t: blocked } })).tables[0]!.error?.code).toBe("SCHEMA_CHANGE_BLOCKED");
  });

  test("a new table comes where the user names it, whatever schemaChanges says", slow, async () => {
    const made = source(2);
    await using copy = await Copy.make();
    const settings = { schemaChanges: "allow_columns" } as const;
    await copy.sync(made, { settings });
    made.put("u", 1, "one");
    made.put("v", 1, "one");
    const run = await copy.sync(made, { settings, tables: { v: { mode: "full" } } });
    expect(run.tables.map(({ table }) => table)).toEqual(["t", "v"]);
  });

  test("a table that was reset is not new, and one that is not copied is told", slow, async () => {
    const made = source(2);
    made.put("u", 1, "one");
    await using copy = await Copy.make();
    const settings = { schemaChanges: "allow_columns" } as const;
    await copy.sync(made, { settings });
    {
      await using warehouse = await copy.open();
      await reset(copy.connection(made, warehouse), ["u"], false);
    }
    made.put("v", 1, "one");
    const run = await copy.sync(made, { settings });
    expect(run.tables.map(({ table }) => table)).toEqual(["t", "u"]);
    expect(copy.warnings).toEqual([expect.stringContaining('table "v" is new')]);
  });

  test("one table is read again while the others go on as they were", slow, async () => {
    const made = source(5);
    for (let id = 1; id <= 5; id++) made.put("u", id, `u ${id}`);
    await using copy = await Copy.make();
    await copy.sync(made);
    expect((await copy.sync(made, { tables: {}, full: true, only: ["t"] })).tables).toMatchObject([
      { table: "t", passes: ["full"], inserted: 0, updated: 0, deleted: 0 },
    ]);
    expect((await copy.sync(made)).tables).toMatchObject([
      { passes: ["window", "keys"] },
      { passes: ["window", "keys"] },
    ]);
  });
});
