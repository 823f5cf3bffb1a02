import { expect, test } from "vitest";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { TableOptions } from "../../src/protocol/source.ts";
import { sources } from "../../src/sources/index.ts";
import { Copy } from "../engine/harness.ts";
import { startCassandra } from "../servers/cassandra.ts";
import { startFront } from "../servers/front.ts";
import { startValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";
import { startRethinkdb } from "../servers/rethinkdb.ts";

const parallel = 3;
const ids = Array.from({ length: 30 }, (_, index) => `many_${index}`);
/** A third can't be read, a third can't be written. */
const unreadable = ids.filter((_, index) => index % 3 === 0);
const unwritable = new Set(ids.filter((_, index) => index % 3 === 1));

/** A server with these tables, each with a value `x` in a column `n`. */
interface Many extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  settings(port: number): object;
  /** What makes a table unreadable. */
  readonly refused: TableOptions | null;
  /** The most connections that a sync may have, as the source's page says. */
  readonly most: number;
}

const asNumber: TableOptions = { types: { n: { kind: "INT" } } };

const kinds: Readonly<Record<string, () => Promise<Many>>> = {
  async redis() {
    const server = await startValkey(13);
    await server.runAll(ids.map((id) => ["HSET", `${id}:1`, "n", "x"]));
    const { host, port, database } = server;
    const tables = Object.fromEntries(
      ids.map((id) => [id, { pattern: `${id}:{id}`, columns: { n: unreadable.includes(id) ? "INT" : "STRING" } }]),
    );
    return {
      ...{ host, port, refused: null, most: 3 * parallel + 1 },
      settings: (port) => ({ host, port, database, tables }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async rethinkdb() {
    const server = await startRethinkdb();
    for (const id of ids) {
      await server.createTable(id);
      await server.insert(id, [{ id: 1, n: "x" }]);
    }
    const { host, port, database } = server;
    return {
      ...{ host, port, refused: asNumber, most: 2 * parallel + 1 },
      settings: (port) => ({ host, port, database }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async cassandra() {
    const server = await startCassandra();
    for (const id of ids) {
      await server.run(`CREATE TABLE ${id} (id int PRIMARY KEY, n text)`);
      await server.run(`INSERT INTO ${id} (id, n) VALUES (1, 'x')`);
    }
    const { host, port, keyspace } = server;
    return {
      ...{ host, port, refused: asNumber, most: parallel + 1 },
      settings: (port) => ({ hostname: host, port, keyspace }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

for (const [name, start] of Object.entries(kinds)) {
  await describeWith(start, `connections to ${name}`, (server: Many) => {
    test("stay few while tables fail in reading and at the destination (case 12)", { timeout: 180_000 }, async () => {
      await using front = await startFront(server);
      const { refused } = server;
      const definition = await sources[name]!.load();
      await using source = await definition.open(definition.configuration.parse(server.settings(front.port)), {
        log: { debug() {}, info() {}, warn() {} },
        tables: refused === null ? {} : Object.fromEntries(unreadable.map((id) => [id, refused])),
        types: "exact",
        signal: AbortSignal.timeout(170_000),
      });
      await using copy = await Copy.make();
      const run = await copy.sync(source, {
        capabilities: definition.capabilities,
        selection: { include: ["many_*"], exclude: [] },
        settings: { parallel },
        wrap: (warehouse) => ({
          ...warehouse,
          async begin(...parameters) {
            const transaction = await warehouse.begin(...parameters);
            const { write } = transaction;
            transaction.write = async (pass, split, operation) => {
              if (unwritable.has(pass.tables[0]!.id))
                throw new HeadwatersError("DESTINATION_FAILED", "no room for this one");
              return write.call(transaction, pass, split, operation);
            };
            return transaction;
          },
        }),
      });
      const outcomes = Object.fromEntries(run.tables.map(({ table, outcome }) => [table, outcome]));
      expect(outcomes).toEqual(Object.fromEntries(ids.map((id, index) => [id, index % 3 === 2 ? "whole" : "failed"])));
      expect(front.most()).toBeGreaterThan(0);
      expect(front.most()).toBeLessThanOrEqual(server.most);
    });
  });
}
