import { describe, expect, test } from "vitest";
import { verify } from "../../src/engine/commands/verify.ts";
import { type Connection, defaultSettings } from "../../src/engine/connection.ts";
import { sync } from "../../src/engine/run/sync.ts";
import type { Warehouse } from "../../src/protocol/destination.ts";
import { context, type DestinationHarness, tableOf } from "../conformance/destination/steps.ts";
import { RowsSource } from "../conformance/rows-source.ts";
import { duckdbExtensions } from "../servers/duckdb-extensions.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { DuckdbHarness } from "./duckdb/harness.ts";
import { LakeHarness } from "./ducklake/harness.ts";
import { PostgresqlHarness } from "./postgresql/harness.ts";

const long = { timeout: 600_000 };
const signal = new AbortController().signal;
const rows = 40;

/** A table with so many columns, and a small one beside it. */
function filled(columns: number): RowsSource {
  const source = new RowsSource(1);
  const put = (id: string, names: readonly string[]): void => {
    const types = { id: "INT", ...Object.fromEntries(names.map((name) => [name, "INT"])) };
    const cells = Array.from({ length: rows }, (_, row) => [row, [row, ...names.map((_, at) => row * at)]] as const);
    source.tables.set(id, { table: tableOf(id, types, ["id"], { version: null }), types, rows: new Map(cells) });
  };
  put(
    "wide",
    Array.from({ length: columns }, (_, at) => `c${at}`),
  );
  put("fine", ["v"]);
  return source;
}

type Ended = Readonly<Record<string, object>>;

/** One sync and one proof: what became of each table. */
async function synced(warehouse: Warehouse, source: RowsSource): Promise<Ended> {
  const connection: Connection = {
    ...{ name: "c", source, warehouse, scope: "s", selection: { include: [], exclude: [] } },
    capabilities: { passes: ["full"], independentPath: false, schema: "declared" },
    settings: { ...defaultSettings, deletes: "each_sync", maxDeleteFraction: 1 },
    log: context().log,
  };
  const run = await sync(connection, { signal, tables: [] }, () => {});
  const report = await verify(connection, { signal }, () => {});
  return Object.fromEntries(
    run.tables.map(({ table, outcome, error, updated }) => {
      const verdict = report.tables.find((one) => one.table === table)!.verdict;
      return [table, { outcome, code: error?.code ?? null, hint: error?.hint ?? null, updated, verdict }];
    }),
  );
}

const whole = { outcome: "whole", code: null, hint: null, updated: 0, verdict: "CONVERGED" };
const changed = { ...whole, updated: 1 };
const refused = (hint: RegExp) => ({
  ...{ outcome: "failed", code: "DESTINATION_UNUSABLE", hint: expect.stringMatching(hint), updated: 0 },
  verdict: "NOT PROVEN",
});
/** What DuckDB takes for a table, so that rows can be added to it. */
const moreMemory = refused(/^Raise memory_limit \(a table takes up to 512 KiB for each column/);

/** `first`, `second`: what becomes of the wide table when it is copied first, and when one cell of it has changed. */
function suite(title: string, make: () => Promise<DestinationHarness>, columns: number, first: object, second: object) {
  test(`${title}: a table of ${columns} columns is whole or fails alone (case 14)`, long, async () => {
    await using harness = await make();
    const source = filled(columns);
    const once = async (): Promise<Ended> => {
      await using warehouse = await harness.open();
      return await synced(warehouse, source);
    };
    expect(await once()).toEqual({ fine: whole, wide: first });
    for (const id of ["wide", "fine"]) (source.tables.get(id)!.rows.get(7)! as number[])[1] = -1;
    expect(await once()).toEqual({ fine: changed, wide: second });
  });
}

describe("many columns", () => {
  suite("DuckDB", () => DuckdbHarness.make(), 2_000, whole, moreMemory);
  suite("DuckDB with more memory", () => DuckdbHarness.make({ memory_limit: "1200MB" }), 2_000, whole, changed);
});

await describeWith(duckdbExtensions, "many columns in a lake", ({ folder: extensions }) => {
  suite("DuckLake", () => LakeHarness.make({ extensions }), 2_000, whole, moreMemory);
});

await describeWith(startPostgresql, "many columns in PostgreSQL", (server) => {
  const make = async () => new PostgresqlHarness(await server.createDatabase());
  suite("PostgreSQL", make, 1_500, whole, changed);
  // The server has no wider tables.
  const fewer = refused(/^Leave columns out/);
  suite("PostgreSQL", make, 2_000, fewer, fewer);
});
