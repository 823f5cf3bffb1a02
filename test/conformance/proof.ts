import assert from "node:assert/strict";
import process from "node:process";
import fc from "fast-check";
import { describe, test } from "vitest";
import { type TableVerdict, verify } from "../../src/engine/commands/verify.ts";
import { type Connection, defaultSettings } from "../../src/engine/connection.ts";
import { sync } from "../../src/engine/run/sync.ts";
import type { Warehouse } from "../../src/protocol/destination.ts";
import { type Cell } from "../../src/toolkit/vectors.ts";
import { context, type DestinationHarness, schema, tableOf } from "./destination/steps.ts";
import { changed, literal, valueOf } from "./proof-values.ts";
import { RowsSource } from "./rows-source.ts";

/**
 * A longer run: tables that are verified for each of the three laws, or minutes that each law takes, or both, whichever
 * ends first. Such a run prints its counts every half minute, so that it can be cut.
 */
const minutes = process.env["HEADWATERS_PROOF_MINUTES"];
const tables = Number(process.env["HEADWATERS_PROOF_TABLES"] ?? (minutes === undefined ? 24 : 1_000_000));
/** Tables of one sync. */
const atOnce = 12;
const signal = new AbortController().signal;

/** How the destination's SQL differs. */
export interface ProofDialect {
  /** A literal of bytes. */
  bytes(hex: string): string;
}

interface Tampering {
  readonly sql: string;
  /** Keys that must be named. */
  readonly ids: readonly number[];
}

/** One table: its source, and random numbers to choose by. */
interface Trial {
  readonly id: string;
  readonly source: RowsSource;
  readonly dialect: ProofDialect;
  readonly signsZeros: boolean;
  /** A number from 0 to below `below`. */
  pick(below: number): number;
}

/** Ways to tamper with the copy of a table; `null`: not with this one. Rows from number 4 on are theirs. */
const tamperings: Readonly<Record<string, (trial: Trial) => Tampering | null>> = {
  "the least change of a value": (trial) => {
    const [at, column] = place(trial);
    return update(trial, at, { [column]: changed(type(trial, column), value(trial, at, column)) });
  },
  "the sign of a zero": (trial) => {
    if (!trial.signsZeros) return null;
    const at = row(trial);
    return update(trial, at, { zero: Object.is(value(trial, at, "zero"), 0) ? -0 : 0 });
  },
  "NULL in place of a value, or the other way round": (trial) => {
    const [at, column] = place(trial);
    const kind = type(trial, column);
    // No key has a NULL.
    if (trial.source.tables.get(trial.id)!.table.key.includes(column)) return null;
    return update(trial, at, { [column]: value(trial, at, column) === null ? valueOf(kind, () => 0) : null });
  },
  "an empty text in place of NULL": (trial) => update(trial, row(trial), { none: "" }),
  "two values of a column swapped": (trial) => {
    const [at, column] = place(trial);
    return swap(trial, at, [column]);
  },
  "the values of two rows swapped": (trial) => swap(trial, row(trial), columns(trial)),
  "a row twice": (trial) => {
    const at = row(trial);
    return { sql: `INSERT INTO ${name(trial)} SELECT * FROM ${name(trial)} WHERE id = ${at}`, ids: [at] };
  },
  "a row missing": (trial) => {
    const at = row(trial);
    return { sql: `DELETE FROM ${name(trial)} WHERE id = ${at}`, ids: [at] };
  },
  "a row too many": (trial) => {
    const names = ["k", ...columns(trial), "_headwaters_synced", "_headwaters_deleted"].map((one) => `"${one}"`);
    const list = names.join(", ");
    const sql = `INSERT INTO ${name(trial)} (id, ${list}) SELECT 999, ${list} FROM ${name(trial)} WHERE id = ${row(trial)}`;
    return { sql, ids: [999] };
  },
  "a key shifted": (trial) => {
    const at = row(trial);
    return { sql: `UPDATE ${name(trial)} SET id = ${at + 500} WHERE id = ${at}`, ids: [at, at + 500] };
  },
  "a part of a value in the next column": (trial) => update(trial, row(trial), { a: "a", b: "bc" }),
  "a value in the next column": (trial) => update(trial, row(trial), { a: null, b: "ab" }),
};

function name({ id }: Trial): string {
  return `${schema}."${id}"`;
}

function columns({ id, source }: Trial): string[] {
  return source.tables
    .get(id)!
    .table.columns.map((column) => column.name)
    .filter((column) => column !== "id" && column !== "k");
}

function type({ id, source }: Trial, column: string): string {
  return source.tables.get(id)!.types[column]!;
}

function value({ id, source }: Trial, at: number, column: string): Cell {
  const { table, rows } = source.tables.get(id)!;
  return rows.get(at)![table.columns.findIndex((one) => one.name === column)]!;
}

function row({ id, source, pick }: Trial): number {
  return 4 + pick(source.tables.get(id)!.rows.size - 4);
}

function place(trial: Trial): [number, string] {
  const all = columns(trial).filter((column) => column !== "at" && column !== "zero");
  return [row(trial), all[trial.pick(all.length)]!];
}

function update(trial: Trial, at: number, values: Readonly<Record<string, Cell>>): Tampering {
  const set = Object.entries(values).map(
    ([column, cell]) => `"${column}" = ${literal(type(trial, column), cell, trial.dialect.bytes)}`,
  );
  return { sql: `UPDATE ${name(trial)} SET ${set.join(", ")} WHERE id = ${at}`, ids: [at] };
}

/** Swaps values with the first row whose values are others. */
function swap(trial: Trial, at: number, names: readonly string[]): Tampering | null {
  const of = (one: number): Record<string, Cell> =>
    Object.fromEntries(names.map((column) => [column, value(trial, one, column)]));
  const text = (one: number): string =>
    names.map((column) => literal(type(trial, column), of(one)[column]!, String)).join();
  const other = [...trial.source.tables.get(trial.id)!.rows.keys()].find((one) => one >= 4 && text(one) !== text(at));
  if (other === undefined) return null;
  const [one, two] = [update(trial, at, of(other)), update(trial, other, of(at))];
  return { sql: `${one.sql}; ${two.sql}`, ids: [at, other] };
}

/** Ways in which a source moves on. Rows up to number 3 are theirs. */
const moves: Readonly<Record<string, (trial: Trial) => void>> = {
  "an insert": ({ id, source }) => source.put(id, 700, true),
  "an update": ({ id, source, pick }) => source.put(id, pick(4), true),
  "a delete": ({ id, source, pick }) => void source.tables.get(id)!.rows.delete(pick(4)),
};

interface Tried {
  readonly tables: number;
  readonly tampered: number;
}

async function opened<Result>(
  harness: DestinationHarness,
  source: RowsSource,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  await using warehouse: Warehouse = await harness.open();
  return await work({
    name: "c",
    source,
    capabilities: { passes: ["full", "keys"], independentPath: false, schema: "declared" },
    warehouse,
    scope: "s",
    selection: { include: [], exclude: [] },
    settings: { ...defaultSettings, deletes: "never" },
    log: context().log,
  });
}

/** A source with tables of every type, copied, then changed on either side. Rejects if a verdict is wrong. */
async function tried(
  make: () => Promise<DestinationHarness>,
  dialect: ProofDialect,
  seed: number,
  tampers: boolean,
  movesOn: boolean,
): Promise<Tried> {
  await using harness = await make();
  const source = new RowsSource(seed);
  const pick = (below: number): number => Math.floor(source.random() * below);
  const ways = Object.entries(tamperings);
  const trials = Array.from({ length: atOnce }, (_, index): Trial & { readonly way: number } => {
    const id = `t${index}`;
    source.make(tableOf, id, index % 2 === 0, 8 + pick(30));
    return { id, source, dialect, signsZeros: harness.signsZeros === true, pick, way: (seed + index) % ways.length };
  });
  await opened(harness, source, async (connection) => {
    const run = await sync(connection, { signal }, () => {});
    assert.equal(run.outcome, "succeeded", JSON.stringify(run.tables.find(({ error }) => error !== null)?.error));
  });
  const expected = new Map<string, { readonly what: string; readonly ids: readonly number[] }>();
  for (const trial of trials) {
    const [what, tamper] = ways[trial.way]!;
    const tampering = tampers ? tamper(trial) : null;
    if (tampering !== null) {
      // An index may refuse a key that is there twice.
      const refused = await harness.tamper(tampering.sql).then(
        () => false,
        (thrown: unknown) => {
          if (what !== "a row twice") throw thrown;
          return true;
        },
      );
      if (!refused) expected.set(trial.id, { what, ids: tampering.ids });
    }
    if (!movesOn) continue;
    const all = Object.values(moves);
    all[trial.pick(all.length)]!(trial);
  }
  const report = await opened(harness, source, (connection) => verify(connection, { signal, limit: 50 }, () => {}));
  for (const table of report.tables) {
    const tampered = expected.get(table.table);
    if (tampered !== undefined) assertNamed(table, tampered);
    else assertMoved(table, movesOn);
  }
  return { tables: trials.length, tampered: expected.size };
}

function assertNamed(
  table: TableVerdict,
  { what, ids }: { readonly what: string; readonly ids: readonly number[] },
): void {
  const said = `${what}: ${JSON.stringify({ ...table, shown: table.shown.slice(0, 5) })}`;
  assert.equal(table.verdict, "DIVERGED", said);
  const named = new Set(table.shown.map(({ key }) => key["id"]));
  for (const id of ids) assert.ok(named.has(String(id)), `${id} is named, ${said}`);
}

function assertMoved(table: TableVerdict, movesOn: boolean): void {
  const said = JSON.stringify({ ...table, shown: table.shown.slice(0, 5) });
  if (!movesOn) return assert.equal(table.verdict, "CONVERGED", said);
  assert.equal(table.verdict, "NOT PROVEN", said);
  assert.match(table.reasons.join(" "), /committed in the source after|as the last sync left it/, said);
}

/** The three laws of a proof, on one destination. */
export function proofLaws(title: string, make: () => Promise<DestinationHarness>, dialect: ProofDialect): void {
  describe(`a proof of ${title} can't be fooled`, () => {
    for (const [what, tampers, movesOn] of [
      ["whatever was tampered with in the copy diverges, and its key is named", true, false],
      ["what only the source changed is NOT PROVEN, with the reason", false, true],
      ["what was tampered with behind a source that moved on diverges, and its key is named", true, true],
    ] as const) {
      test(what, { timeout: 4_000_000 }, async () => {
        const total = { tables: 0, tampered: 0 };
        const end = minutes === undefined ? Infinity : Date.now() + Number(minutes) * 60_000;
        const said = counter(`${title}: ${what}`);
        await fc.assert(
          fc.asyncProperty(fc.nat(), async (seed) => {
            // fast-check's own limit would leave the last table to run behind the next law.
            if (Date.now() >= end) return;
            const one = await tried(make, dialect, seed, tampers, movesOn);
            total.tables += one.tables;
            total.tampered += one.tampered;
            said(total, false);
          }),
          { numRuns: Math.ceil(tables / atOnce), endOnFailure: true },
        );
        said(total, true);
        assert.ok((tampers ? total.tampered : total.tables) > 0, "tables were tried");
      });
    }
  });
}

/** Prints the counts of a longer run, at most every half minute and at its end. */
function counter(what: string): (total: Tried, ended: boolean) => void {
  const began = Date.now();
  let printed = began;
  return ({ tables: tried, tampered }, ended) => {
    if (minutes === undefined || (!ended && Date.now() - printed < 30_000)) return;
    printed = Date.now();
    const seconds = Math.round((printed - began) / 1_000);
    process.stdout.write(`${what}: ${tried} tables, ${tampered} tamperings, none missed, ${seconds} s\n`);
  };
}
