import { seeded } from "../campaigns/random.ts";
import type { OwnRethink } from "../servers/rethinkdb.ts";
import { type Term, term } from "../../src/wire/reql/terms.ts";
import type { WrittenSource } from "./following.ts";

/** One with a timestamp, which a window and a sweep catch up with, and one that is read whole then. */
const tables = ["stamped", "plain"] as const;

export async function writtenRethinkdb(server: OwnRethink): Promise<WrittenSource> {
  for (const table of tables) {
    await server.createTable(table);
    await server.insert(
      table,
      Array.from({ length: 300 }, (_, id) => documentOf(table, String(id), `n${id}`)),
    );
  }
  return {
    tables,
    write: async (seed) => writeAtRandom(server, seed),
    async rows(table) {
      const rows = (await server.run(server.table(table))) as readonly { readonly id: string; readonly name: string }[];
      return rows.map(({ id, name }) => ({ id, name })).sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    cut: () => server.server.restart(),
  };
}

function documentOf(table: string, id: string, name: string) {
  const updated_at = { $reql_type$: "TIME", epoch_time: Date.now() / 1_000, timezone: "+00:00" };
  return table === "stamped" ? { id, name, updated_at } : { id, name };
}

function writeAtRandom(server: OwnRethink, seed: number): { stop(): Promise<number> } {
  const { below } = seeded(seed);
  const writer = { goesOn: true };
  let writes = 0;
  const change = (): Promise<unknown> => {
    const table = tables[below(tables.length)]!;
    const [id, kind] = [String(below(400)), below(1_000)];
    if (kind < 650) return server.insert(table, [documentOf(table, id, `v${below(1e6)}`)]);
    if (kind < 990) return remove(term("GET", [server.table(table), id]));
    if (kind < 998) return server.run(term("RECONFIGURE", [server.table(table)]));
    return remove(server.table(table));
  };
  const remove = (what: Term): Promise<unknown> => server.run(term("DELETE", [what]));
  const writing = (async () => {
    for (; writer.goesOn; writes++) {
      // The writer's session is cut too, and reads fail for a while after a restart.
      await change().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, below(4)));
    }
  })();
  return {
    async stop() {
      writer.goesOn = false;
      await writing;
      return writes;
    },
  };
}
