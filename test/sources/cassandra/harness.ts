import type { Json } from "../../../src/protocol/json.ts";
import type { Pass, PassKind } from "../../../src/protocol/pass.ts";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { Reading, Source, SourceContext, SourceDefinition } from "../../../src/protocol/source.ts";
import type { Table } from "../../../src/protocol/table.ts";
import { definition } from "../../../src/sources/cassandra/index.ts";
import { type Cell, cell } from "../../../src/toolkit/vectors.ts";
import type { SourceHarness } from "../../../src/testing/source-checks.ts";
import { assertWellFormed } from "../../../src/testing/well-formed.ts";
import type { CassandraServer } from "../../servers/cassandra.ts";

/** The suite's tables on a CQL server; with an index on the cursor column, where the server has one that serves ranges. */
export function cqlHarness(
  server: CassandraServer,
  definition: SourceDefinition,
  settings: object,
  hasIndex = Number.parseInt(server.version, 10) >= 5,
): SourceHarness {
  return {
    capabilities: definition.capabilities,
    open: () =>
      definition.open(definition.configuration.parse(settings), {
        log: { debug: () => {}, info: () => {}, warn: () => {} },
        tables: {},
        types: "exact",
        signal: new AbortController().signal,
      }),
    async create(name) {
      await server.run(`DROP TABLE IF EXISTS ${name}`);
      await server.run(`CREATE TABLE ${name} (id int PRIMARY KEY, name text, updated_at timestamp)`);
      if (hasIndex) await server.run(`CREATE INDEX ON ${name} (updated_at) USING 'sai'`);
    },
    async put(name, things) {
      // A cell that is null would be a tombstone: it is left out, and unset by it where it was.
      const rows = things.map(({ id, name: text, updatedAt }) => [id, text, updatedAt]);
      await server.runAll(`INSERT INTO ${name} (id, name, updated_at) VALUES (?, ?, ?)`, rows);
    },
    async remove(name, ids) {
      await server.runAll(
        `DELETE FROM ${name} WHERE id = ?`,
        ids.map((id) => [id]),
      );
    },
    async drop(name) {
      await server.run(`DROP TABLE ${name}`);
    },
  };
}

/** The settings by which the `cassandra` source reads a test's keyspace. */
export function cassandraSettings(server: CassandraServer): Record<string, unknown> {
  const { host: hostname, port, username, password, keyspace } = server;
  return { hostname, port, keyspace, ...(username === null ? {} : { username, password }) };
}

/** A source on a test's keyspace, with warnings kept. */
export async function openCassandra(
  server: CassandraServer,
  settings: Record<string, unknown> = {},
  context: Partial<SourceContext> = {},
): Promise<Source & { readonly warnings: string[] }> {
  const warnings: string[] = [];
  const source = await definition.open(definition.configuration.parse({ ...cassandraSettings(server), ...settings }), {
    log: { debug: () => {}, info: () => {}, warn: (message) => void warnings.push(message) },
    tables: {},
    types: "exact",
    signal,
    ...context,
  });
  return Object.assign(source, { warnings });
}

const signal = new AbortController().signal;
export const reading: Reading = { signal, batchBytes: 64 << 10, until: "caught up", path: "fast" };

export async function tableNamed(source: Source, name: string): Promise<Table> {
  const found = (await source.discover(signal)).find((table) => table.id === name);
  if (found === undefined) throw new Error(`discover does not show ${name}`);
  if (found.refused !== undefined) throw found.refused;
  return found;
}

export async function passOver(
  source: Source,
  table: Table,
  kind: PassKind = "full",
  previous: Readonly<Record<string, Json>> = {},
): Promise<Pass> {
  const plan = await source.plan([table], kind, previous, signal);
  return { ...plan, id: "p", kind, tables: [table], opened: plan.asOf, scope: "s", replace: false };
}

/** Every row of a pass: column name to value. Of each split what comes after `state`. */
export async function rowsOfPass(
  source: Source,
  pass: Pass,
  how: Reading = reading,
  state: Json = null,
): Promise<Record<string, Cell>[]> {
  const rows: Record<string, Cell>[] = [];
  for (const split of pass.splits) {
    for await (const operation of source.read(pass, split, state, how)) {
      if ("rows" in operation) rows.push(...cellsOf(operation.rows));
    }
  }
  return rows;
}

function cellsOf(rows: Rows): Record<string, Cell>[] {
  assertWellFormed(rows);
  return Array.from({ length: rows.length }, (_, row) =>
    Object.fromEntries(rows.columns.map((name, index) => [name, cell(rows.values[index]!, row)])),
  );
}
