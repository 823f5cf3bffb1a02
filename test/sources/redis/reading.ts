import type { RedisServer } from "../../servers/redis.ts";
import { assertWellFormed } from "../../../src/testing/well-formed.ts";
import type { Json } from "../../../src/protocol/json.ts";
import type { Operation } from "../../../src/protocol/operation.ts";
import type { Pass, PassKind } from "../../../src/protocol/pass.ts";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { Reading, Source, TableOptions } from "../../../src/protocol/source.ts";
import type { Table } from "../../../src/protocol/table.ts";
import { type Cell, cell } from "../../../src/toolkit/vectors.ts";
import { definition } from "../../../src/sources/redis/index.ts";

export const signal = new AbortController().signal;
export const fast: Reading = { signal, batchBytes: 64 << 10, until: "caught up", path: "fast" };
export const independent: Reading = { ...fast, path: "independent" };

/** A row by its columns' names; bytes in hexadecimal. */
export type Row = Readonly<Record<string, Cell>>;

/** The configuration that reaches a server, as text like the published example's. */
export function settingsOf(server: RedisServer): Record<string, unknown> {
  const { host, port, username, password, database } = server;
  return { host, port: String(port), username: username ?? "", password: password ?? "", database: String(database) };
}

/** Opens a source on a server; warnings are put into `warnings`. */
export async function openSource(
  server: RedisServer,
  settings: Record<string, unknown> = {},
  { warnings = [], tables = {} }: { warnings?: string[]; tables?: Record<string, TableOptions> } = {},
): Promise<Source> {
  const log = { debug: () => {}, info: () => {}, warn: (message: string) => void warnings.push(message) };
  const configuration = definition.configuration.parse({ ...settingsOf(server), ...settings });
  return definition.open(configuration, { log, tables, types: "exact", signal });
}

export async function tableOf(source: Source, id: string): Promise<Table> {
  const tables = await source.discover(signal);
  const found = tables.find((table) => table.id === id);
  if (found === undefined) throw new Error(`no table ${id} among ${tables.map((table) => table.id).join(", ")}`);
  if (found.refused !== undefined) throw found.refused;
  return found;
}

export async function planOf(
  source: Source,
  table: Table,
  kind: PassKind,
  previous: Record<string, Json> = {},
): Promise<Pass> {
  const plan = await source.plan([table], kind, previous, signal);
  return { ...plan, id: "p", kind, tables: [table], opened: plan.asOf, scope: "s", replace: false };
}

export async function* operations(source: Source, pass: Pass, how = fast): AsyncGenerator<Operation> {
  for (const split of pass.splits) yield* source.read(pass, split, null, how);
}

/** All rows of a pass by their keys, of a key that comes twice the last. */
export async function readRows(
  source: Source,
  table: Table,
  {
    kind = "full",
    how = fast,
    previous = {},
  }: { kind?: PassKind; how?: Reading; previous?: Record<string, Json> } = {},
): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for await (const operation of operations(source, await planOf(source, table, kind, previous), how)) {
    if ("rows" in operation) addRows(rows, operation.rows, table);
  }
  return rows;
}

export function addRows(to: Map<string, Row>, rows: Rows, table: Table): void {
  assertWellFormed(rows);
  for (let index = 0; index < rows.length; index++) {
    const row = Object.fromEntries(
      rows.columns.map((name, column) => [name, shown(cell(rows.values[column]!, index))]),
    );
    to.set(table.key.map((name) => String(row[name])).join("|"), row);
  }
}

/** Without columns that differ from one reading to the next. */
export function steady(rows: Map<string, Row>): Map<string, Row> {
  const changing = new Set(["last_modified", "ttl"]);
  return new Map(
    [...rows]
      .sort()
      .map(([key, row]) => [key, Object.fromEntries(Object.entries(row).filter(([name]) => !changing.has(name)))]),
  );
}

function shown(value: Cell): Cell {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}
