import assert from "node:assert/strict";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import type { Operation } from "../protocol/operation.ts";
import { nextOfStream, type Pass, type PassKind, type Split } from "../protocol/pass.ts";
import type { Rows } from "../protocol/rows.ts";
import type { Reading, Source, SourceCapabilities } from "../protocol/source.ts";
import type { Table } from "../protocol/table.ts";
import { type Cell, cell, project, rowsBytes } from "../toolkit/vectors.ts";
import type { Check } from "./check.ts";
import { copied } from "./copied.ts";
import { assertWellFormed } from "./well-formed.ts";

/** A row of the suite's tables: `id` is the key, `name` a text, `updated_at` the cursor column. */
export interface Thing {
  readonly id: number;
  readonly name: string | null;
  readonly updatedAt: Date | null;
}

/** What the suite needs of a source: a real server on which it can create tables and change them. */
export interface SourceHarness {
  readonly capabilities: SourceCapabilities;
  /**
   * The source is a key space: its tables are patterns of keys. They have no cursor column, and can't be dropped or
   * created again.
   */
  readonly keySpace?: true;
  /** Opens the source again, as another process would. */
  open(): Promise<Source>;
  /**
   * Creates an empty table `name` with the columns of {@link Thing} (`id`, which is the key, `name` and `updated_at`). It
   * replaces an existing one.
   */
  create(name: string): Promise<void>;
  /** Inserts rows, or replaces those with the same key. */
  put(name: string, things: readonly Thing[]): Promise<void>;
  remove(name: string, ids: readonly number[]): Promise<void>;
  drop(name: string): Promise<void>;
}

interface SourceCheck {
  readonly name: string;
  readonly needs?: PassKind;
  /** It needs something that a key space does not have. */
  readonly tables?: true;
  run(harness: SourceHarness): Promise<void>;
}

const signal = new AbortController().signal;
const fast: Reading = { signal, batchBytes: 4 << 10, until: "caught up", path: "fast" };
const count = 1_500;
/** Long ago, so that lag and clocks have no influence. */
const day = Date.UTC(2024, 4, 17);

function things(from: number, to: number, at = day): Thing[] {
  return Array.from({ length: to - from }, (_, index) => {
    const id = from + index;
    return {
      id,
      name: id % 7 === 0 ? null : `thing ${id} ${"é".repeat(id % 40)}`,
      updatedAt: id % 11 === 0 ? null : new Date(at + id * 1_000),
    };
  });
}

/** The checks for a source of the full contract: those that its capabilities call for. */
export function sourceChecks(harness: SourceHarness): readonly Check[] {
  const { capabilities, keySpace } = harness;
  const applies = ({ needs, tables }: SourceCheck): boolean =>
    (needs === undefined || capabilities.passes.includes(needs)) && !(tables === true && keySpace === true);
  return checks.filter(applies).map(({ name, run }) => ({ name, run: () => run(harness) }));
}

async function table(source: Source, name: string): Promise<Table> {
  const tables = await source.discover(signal);
  const found = tables.find((candidate) => candidate.id === name);
  assert.ok(found !== undefined, `discover shows ${name}`);
  return found;
}

async function plan(
  source: Source,
  of: Table | readonly Table[],
  kind: PassKind,
  previous: Readonly<Record<string, Json>> = {},
): Promise<Pass> {
  const tables = [of].flat();
  const planned = await source.plan(tables, kind, previous, signal);
  const now = new Date().toISOString();
  const pass = { ...planned, id: "p", kind, tables, opened: now, scope: "s", replace: false };
  assert.deepEqual(JSON.parse(JSON.stringify(pass)), pass, "a pass is plain JSON");
  assert.ok(Math.abs(Date.parse(planned.asOf) - Date.now()) < 3_600_000, "the read point is now");
  return pass;
}

/** The operations of a split; checks their form. */
async function* reading(source: Source, pass: Pass, split: Split, state: Json, how = fast): AsyncGenerator<Operation> {
  for await (const operation of source.read(pass, split, state, how)) {
    if ("rows" in operation) assertWellFormed(operation.rows);
    if (operation.kind === "checkpoint") {
      const text = JSON.stringify(operation.state);
      assert.deepEqual(JSON.parse(text), operation.state, "a state is plain JSON");
      assert.ok(text.length < 4_096, "a state is small");
    }
    yield operation;
  }
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function readPass(source: Source, pass: Pass, how = fast): Promise<Rows[]> {
  const batches: Rows[] = [];
  for (const split of pass.splits) {
    for await (const operation of reading(source, pass, split, null, how))
      if ("rows" in operation) batches.push(operation.rows);
  }
  return batches;
}

/** Rows by key, as JavaScript values. A key that comes twice is an error. */
function byKey(batches: readonly Rows[], columns: readonly string[], key = "id"): Map<string, readonly Cell[]> {
  const rows = new Map<string, readonly Cell[]>();
  for (const batch of batches) {
    const keys = project(batch, [key]).values[0]!;
    const values = project(batch, columns).values;
    for (let row = 0; row < batch.length; row++) {
      const name = String(cell(keys, row));
      assert.ok(!rows.has(name), `key ${name} comes once`);
      rows.set(
        name,
        values.map((vector) => comparable(cell(vector, row))),
      );
    }
  }
  return rows;
}

function comparable(value: Cell): Cell {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}

function expected(rows: readonly Thing[]): Map<string, readonly Cell[]> {
  return new Map(rows.map(({ id, name }) => [String(id), [name]]));
}

function assertRows(batches: readonly Rows[], rows: readonly Thing[]): void {
  const [seen, put] = [byKey(batches, ["name"]), expected(rows)];
  assert.deepEqual([...seen.keys()].sort(), [...put.keys()].sort(), "the keys");
  assert.deepEqual(new Map([...seen].sort()), new Map([...put].sort()), "the values");
}

async function filled(harness: SourceHarness, name: string): Promise<Source> {
  await harness.create(name);
  await harness.put(name, things(0, count));
  return harness.open();
}

/** One stream over tables, as the engine reads it, by a source that is opened anew. */
async function stream(
  harness: SourceHarness,
  names: readonly string[],
  previous: Readonly<Record<string, Json>>,
  afterSplit: () => Promise<void> = async () => {},
): Promise<{ readonly pass: Pass; readonly operations: readonly Operation[]; readonly next: Record<string, Json> }> {
  await using source = await harness.open();
  const tables: Table[] = [];
  for (const name of names) tables.push(await table(source, name));
  const pass = await plan(source, tables, "stream", previous);
  const emptied = names.filter((name) => pass.startsOver === true || !Object.hasOwn(previous, name));
  const operations: Operation[] = emptied.map((name) => ({ kind: "truncate", table: name }));
  const states = new Map<string, Json>();
  for (const split of pass.splits) {
    for await (const operation of reading(source, pass, split, null)) {
      operations.push(operation);
      if (operation.kind === "checkpoint") states.set(split.id, operation.state);
    }
    await afterSplit();
  }
  return { pass, operations, next: Object.fromEntries(names.map((name) => [name, nextOfStream(pass, name, states)])) };
}

const checks: readonly SourceCheck[] = [
  {
    name: "shows a table with its key and cursor, and tells it from a later one of that name",
    tables: true,
    async run(harness) {
      await harness.create("things");
      await using source = await harness.open();
      const first = await table(source, "things");
      assert.deepEqual(first.key, ["id"]);
      assert.equal(first.cursor, "updated_at");
      assert.deepEqual(await table(source, "things"), first, "it is the same when looked at again");
      await harness.create("things");
      assert.notEqual((await table(source, "things")).identity, first.identity);
    },
  },
  {
    name: "reads every row once",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const pass = await plan(source, await table(source, "things"), "full");
      assertRows(await readPass(source, pass), things(0, count));
    },
  },
  {
    name: "reads an empty table",
    needs: "full",
    async run(harness) {
      await harness.create("things");
      await using source = await harness.open();
      const of = await table(source, "things");
      assert.deepEqual(await readPass(source, await plan(source, of, "full")), []);
    },
  },
  {
    name: "reads the columns that the table names, and no others",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const whole = await table(source, "things");
      const of = {
        ...whole,
        columns: whole.columns.filter((column) => column.name === "id" || column.name === "name"),
        cursor: null,
        version: null,
      };
      for (const rows of await readPass(source, await plan(source, of, "full")))
        assert.deepEqual([...rows.columns].sort(), ["id", "name"]);
    },
  },
  {
    name: "keeps batches near the size that is asked for",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const pass = await plan(source, await table(source, "things"), "full");
      const batches = await readPass(source, pass, { ...fast, batchBytes: 8 << 10 });
      for (const batch of batches) assert.ok(rowsBytes(batch) < 32 << 10, `a batch of ${rowsBytes(batch)} bytes`);
    },
  },
  {
    name: "goes on from every checkpoint, in another process, without a row lost or doubled",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const pass = await plan(source, await table(source, "things"), "full");
      const operations = new Map<string, Operation[]>();
      for (const split of pass.splits) operations.set(split.id, await collect(reading(source, pass, split, null)));
      await using other = await harness.open();
      const resumed = await other.resume(JSON.parse(JSON.stringify(pass)) as Pass, signal);
      // If resuming is unsound in another process, the process that planned the pass still can.
      const [reader, going] = resumed === null ? [source, pass] : [other, resumed];
      for (const [index, split] of pass.splits.entries()) {
        const all = operations.get(split.id)!;
        const cuts = all.flatMap((operation, at) => (operation.kind === "checkpoint" ? [at] : []));
        for (const cut of cuts.filter((_, at) => at % Math.ceil(cuts.length / 8) === 0)) {
          const before = all.slice(0, cut);
          const state = (all[cut] as Operation & { kind: "checkpoint" }).state;
          const after = await collect(reading(reader, going, going.splits[index]!, state));
          const rows = [...before, ...after].flatMap((operation) => ("rows" in operation ? [operation.rows] : []));
          const whole = all.flatMap((operation) => ("rows" in operation ? [operation.rows] : []));
          assert.deepEqual(
            [...byKey(rows, ["name"])].sort(),
            [...byKey(whole, ["name"])].sort(),
            `split ${split.id} cut at ${cut}`,
          );
        }
      }
    },
  },
  {
    name: "checkpoints often enough that little is held in memory",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const pass = await plan(source, await table(source, "things"), "full");
      for (const split of pass.splits) {
        let held = 0;
        for await (const operation of reading(source, pass, split, null)) {
          if ("rows" in operation) held += rowsBytes(operation.rows);
          else if (operation.kind === "checkpoint") held = 0;
          assert.ok(held < 256 << 10, `${held} bytes without a checkpoint`);
        }
      }
    },
  },
  {
    name: "a window holds what was written since the last pass, equal cursors too",
    needs: "window",
    async run(harness) {
      await using source = await filled(harness, "things");
      const of = await table(source, "things");
      const full = await plan(source, of, "full");
      const now = new Date();
      const written: Thing[] = [
        { id: 3, name: "changed", updatedAt: now },
        { id: count + 1, name: "new, at the same moment", updatedAt: now },
        {
          id: count + 2,
          name: "late: stamped before the pass, seen after it",
          updatedAt: new Date(Date.parse(full.asOf) - 50),
        },
      ];
      await harness.put("things", written);
      const window = await plan(source, of, "window", full.next);
      const rows = byKey(await readPass(source, window), ["name"]);
      for (const { id, name } of written) assert.deepEqual(rows.get(String(id)), [name]);
      assert.ok(rows.size < 100, "a window is not the table");
      const next = await plan(source, of, "window", window.next);
      assert.ok(
        byKey(await readPass(source, next), ["name"]).has("3"),
        "the next window overlaps: a late row may still come",
      );
    },
  },
  {
    name: "a sweep meets every key, those without a cursor too, with its version",
    needs: "keys",
    async run(harness) {
      await using source = await filled(harness, "things");
      await harness.remove("things", [5, 6, 7]);
      const of = await table(source, "things");
      const columns = of.version === null ? ["id"] : ["id", of.version];
      const swept: Rows[] = [];
      const pass = await plan(source, of, "keys");
      for (const split of pass.splits) {
        for await (const operation of reading(source, pass, split, null)) {
          if (operation.kind === "checkpoint") continue;
          assert.equal(operation.kind, "keys");
          if ("rows" in operation) swept.push(operation.rows);
        }
      }
      const full = byKey(await readPass(source, await plan(source, of, "full")), columns);
      assert.equal(full.size, count - 3);
      assert.deepEqual([...byKey(swept, columns)].sort(), [...full].sort());
    },
  },
  {
    name: "streams go on from where each of their splits ended",
    needs: "stream",
    async run(harness) {
      const names = ["things", "others"];
      for (const name of names) await harness.create(name);
      const operations: Operation[] = [];
      let previous: Record<string, Json> = {};
      for (let round = 0; round < 4; round++) {
        for (const name of names) {
          await harness.put(name, things(round * 3, round * 3 + 9));
          await harness.remove(name, [round * 3 + 1, round * 3 + 4]);
        }
        // Splits end at different places: what changes between two of them must come with the next stream.
        const later = things(100 + round * 10, 110 + round * 10);
        const between = async (): Promise<void> => {
          for (const name of names) await harness.put(name, later.splice(0, 4));
        };
        for (const change of [between, async () => {}]) {
          const streamed = await stream(harness, names, previous, change);
          operations.push(...streamed.operations);
          previous = streamed.next;
        }
        const fresh = await stream(harness, names, {});
        const of = fresh.pass.tables;
        assert.deepEqual(copied(of, operations), copied(of, fresh.operations), `after ${round + 1} rounds of streams`);
      }
    },
  },
  {
    name: "looks rows up by key, and leaves out those that are not there",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const of = await table(source, "things");
      const keys = (await readPass(source, await plan(source, of, "full"))).map((rows) => project(rows, of.key));
      await harness.remove("things", [0, 1, 2]);
      const found: Rows[] = [];
      for (const batch of keys) for await (const rows of source.lookup(of, batch, fast)) found.push(rows);
      for (const rows of found) assertWellFormed(rows);
      assertRows(found, things(3, count));
    },
  },
  {
    name: "reads the same by its other path",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const of = await table(source, "things");
      const columns = of.columns.map((column) => column.name);
      const one = byKey(await readPass(source, await plan(source, of, "full")), columns);
      const other = byKey(
        await readPass(source, await plan(source, of, "full"), { ...fast, path: "independent" }),
        columns,
      );
      assert.deepEqual([...other].sort(), [...one].sort());
    },
  },
  {
    name: "stops at once when it is told to, and reads again after that",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const of = await table(source, "things");
      const pass = await plan(source, of, "full");
      const stop = new AbortController();
      const read = source.read(pass, pass.splits[0]!, null, { ...fast, signal: stop.signal })[Symbol.asyncIterator]();
      await read.next();
      stop.abort(new Error("stopped"));
      const drained = (async () => {
        while ((await read.next()).done !== true);
      })();
      await assert.rejects(drained, "a reading that was stopped must not look complete");
      assertRows(await readPass(source, await plan(source, of, "full")), things(0, count));
    },
  },
  {
    name: "can be left in the middle",
    needs: "full",
    async run(harness) {
      await using source = await filled(harness, "things");
      const of = await table(source, "things");
      for (let round = 0; round < 12; round++) {
        const pass = await plan(source, of, "full");
        for await (const operation of source.read(pass, pass.splits[0]!, null, fast)) if ("rows" in operation) break;
      }
      assertRows(await readPass(source, await plan(source, of, "full")), things(0, count));
    },
  },
  {
    name: "says so when the table is gone between plan and read",
    needs: "full",
    tables: true,
    async run(harness) {
      await using source = await filled(harness, "gone");
      const pass = await plan(source, await table(source, "gone"), "full");
      await using other = await harness.open();
      const later = (await other.resume(pass, signal)) ?? pass;
      await source[Symbol.asyncDispose]();
      await harness.drop("gone");
      await assert.rejects(readPass(other, later), (thrown) => {
        assert.ok(["TABLE_UNKNOWN", "TABLE_CHANGED"].includes(asHeadwatersError(thrown).code), String(thrown));
        return true;
      });
    },
  },
];
