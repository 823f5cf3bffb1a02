import type { SourceContext } from "../../../src/protocol/source.ts";
import { term } from "../../../src/toolkit/reql/terms.ts";
import type { SourceHarness, Thing } from "../../../src/testing/source-checks.ts";
import { sourceConformance } from "../../conformance/source.ts";
import { describeWith } from "../../servers/require.ts";
import { type RethinkDatabase, startRethinkdb } from "../../servers/rethinkdb.ts";
import { definition } from "../../../src/sources/rethinkdb/index.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {} };
const signal = new AbortController().signal;

/** Windows go through an index, or over the whole table. */
function harness(server: RethinkDatabase, indexed: boolean): SourceHarness {
  // An empty table shows no timestamps: an index on the field tells, or the user.
  const tables = indexed ? {} : { things: { cursor: "updated_at" } };
  const context: SourceContext = { log, tables, types: "exact", signal };
  const { host, port, database, user, password } = server;
  return {
    capabilities: definition.capabilities,
    open: () =>
      definition.open(definition.configuration.parse({ host, port, database, username: user, password }), context),
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

await describeWith(startRethinkdb, "RethinkDB", (server) => {
  sourceConformance("RethinkDB", () => harness(server, false));
  sourceConformance("RethinkDB with an index", () => harness(server, true));
});
