import type { SourceContext } from "../../../src/protocol/source.ts";
import { term } from "../../../src/wire/reql/terms.ts";
import type { SourceHarness, Thing } from "../../../src/testing/source-checks.ts";
import type { RethinkDatabase } from "../../servers/rethinkdb.ts";
import { definition } from "../../../src/sources/rethinkdb/index.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {} };
const signal = new AbortController().signal;

/** The settings that reach a test's database, as a `configuration.json` would have them. */
export function settingsOf({ host, port, database, user, password }: RethinkDatabase): Record<string, string> {
  return { host, port: String(port), database, username: user, password };
}

/** The suite's table as documents. Windows go through an index, or over the whole table. */
export function things(server: RethinkDatabase, indexed: boolean): SourceHarness {
  // An empty table shows no timestamps: an index on the field tells, or the user.
  const tables = indexed ? {} : { things: { cursor: "updated_at" } };
  const context: SourceContext = { log, tables, types: "exact", signal };
  const { database } = server;
  return {
    capabilities: definition.capabilities,
    open: () => definition.open(definition.configuration.parse(settingsOf(server)), context),
    async create(name) {
      await server.createTable(name);
      if (!indexed) return;
      await server.run(term("INDEX_CREATE", [server.table(name), "updated_at"]));
      await server.run(term("INDEX_WAIT", [server.table(name)]));
    },
    put: (name, things) => server.insert(name, things.map(documentOf)),
    async remove(name, ids) {
      for (const id of ids) await server.run(term("DELETE", [term("GET", [server.table(name), id])]));
    },
    async drop(name) {
      await server.run(term("TABLE_DROP", [term("DB", [database]), name]));
    },
  };
}

function documentOf({ id, name, updatedAt }: Thing) {
  const at =
    updatedAt === null ? null : { $reql_type$: "TIME", epoch_time: updatedAt.getTime() / 1_000, timezone: "+00:00" };
  return { id, name, updated_at: at };
}
