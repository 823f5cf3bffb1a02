import pg from "pg";
import type { Operation } from "../../../src/protocol/operation.ts";
import type { Pass, PassKind, Split } from "../../../src/protocol/pass.ts";
import type { Json } from "../../../src/protocol/json.ts";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { Reading, Source, SourceContext } from "../../../src/protocol/source.ts";
import type { Table } from "../../../src/protocol/table.ts";
import { configuration } from "../../../src/sources/postgresql/config.ts";
import { definition } from "../../../src/sources/postgresql/index.ts";
import { type Cell, cell } from "../../../src/toolkit/vectors.ts";
import { runSql, type PostgresqlServer } from "../../servers/postgresql.ts";

export const never = new AbortController().signal;

/** How the tests read, unless they say otherwise. */
export const fast: Reading = { signal: never, batchBytes: 64 << 10, until: "caught up", path: "fast" };
export const independent: Reading = { ...fast, path: "independent" };

/** What a source was told to say. */
export interface Said {
  readonly warnings: string[];
}

/** The settings that reach a test's server, as a `configuration.json` would have them. */
function settingsOf(server: PostgresqlServer, more: Readonly<Record<string, unknown>> = {}) {
  const { host, port, database, user, password } = server;
  return { host, port: String(port), database, user, password, ...more };
}

/** A source as a user would configure it; `more` are further settings. */
export async function openSource(
  server: PostgresqlServer,
  more: Readonly<Record<string, unknown>> = {},
  context: Partial<SourceContext> = {},
  said: Said = { warnings: [] },
): Promise<Source> {
  const silent = (): void => {};
  return definition.open(configuration.parse(settingsOf(server, more)), {
    log: { debug: silent, info: silent, warn: (message) => void said.warnings.push(message) },
    tables: {},
    types: "exact",
    signal: never,
    ...context,
  });
}

export async function tableOf(source: Source, id: string): Promise<Table> {
  const table = (await source.discover(never)).find((candidate) => candidate.id === id);
  if (table === undefined) throw new Error(`discover does not show ${id}`);
  if (table.refused !== undefined) throw table.refused;
  return table;
}

/** A pass as the engine makes it of a plan. */
export async function passOf(
  source: Source,
  table: Table,
  kind: PassKind = "full",
  previous: Json = null,
): Promise<Pass> {
  const plan = await source.plan([table], kind, { [table.id]: previous }, never);
  return { ...plan, id: "p", kind, tables: [table], opened: new Date().toISOString(), scope: "", replace: false };
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function operationsOf(source: Source, pass: Pass, how = fast): Promise<Map<Split, Operation[]>> {
  const all = new Map<Split, Operation[]>();
  for (const split of pass.splits) all.set(split, await collect(source.read(pass, split, null, how)));
  return all;
}

/** All rows of a pass as arrays of JavaScript values, in the order of its splits. */
export async function rowsOfPass(source: Source, pass: Pass, how = fast): Promise<Cell[][]> {
  return [...(await operationsOf(source, pass, how)).values()].flatMap(cellsOf);
}

export function cellsOf(operations: readonly Operation[]): Cell[][] {
  return operations.flatMap((operation) => ("rows" in operation ? cellsOfRows(operation.rows) : []));
}

export function cellsOfRows({ values, length }: Rows): Cell[][] {
  return Array.from({ length }, (_, row) => values.map((vector) => cell(vector, row)));
}

/** Runs statements and closes; gives the rows of the last. */
export async function sql(server: PostgresqlServer, text: string): Promise<Record<string, string>[]> {
  return runSql<Record<string, string>>(server.connectionString, text);
}

/** A session that stays open. */
export async function session(server: PostgresqlServer): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.connectionString });
  await client.connect();
  return client;
}
