import type { SourceHarness, Thing } from "../../../src/testing/source-checks.ts";
import { sourceConformance } from "../../conformance/source.ts";
import { type RedisServer, startRedisStack, startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { definition } from "../../../src/sources/dragonflydb/index.ts";

const servers = [
  ["Valkey", startValkey],
  ["Redis Stack", startRedisStack],
] as const;
for (const [title, start] of servers) {
  await describeWith(
    () => start(2),
    title,
    (server) => sourceConformance("DragonflyDB", () => harness(server)),
  );
}

/** The suite's table as hashes: `things:{id}`. */
function harness(server: RedisServer): SourceHarness {
  const { host, port, username, password, database } = server;
  const columns = { name: "STRING", updated_at: "UTC_DATETIME" };
  const tables = Object.fromEntries(["things", "gone"].map((name) => [name, { pattern: `${name}:{id}`, columns }]));
  const drop = async (name: string): Promise<void> => {
    const keys = (await server.run("KEYS", `${name}:*`)) as readonly Buffer[];
    await server.runAll(keys.map((key) => ["DEL", key]));
  };
  return {
    capabilities: { ...definition.capabilities, passes: ["full", "keys"] },
    keySpace: true,
    open: (): Promise<Source> => {
      const configuration = definition.configuration.parse({
        ...{ host, port: String(port), username: username ?? "", password: password ?? "" },
        ...{ database: String(database), tables },
      });
      const log = { debug: () => {}, info: () => {}, warn: () => {} };
      return definition.open(configuration, { log, tables: {}, types: "exact", signal: new AbortController().signal });
    },
    create: drop,
    put: (name, things) => server.runAll(things.flatMap((thing) => commands(name, thing))),
    remove: (name, ids) => server.runAll(ids.map((id) => ["DEL", `${name}:${id}`])),
    drop,
  };
}

function commands(name: string, { id, name: text, updatedAt }: Thing): (string | number)[][] {
  const key = `${name}:${id}`;
  const fields = ["kind", "thing", ...(text === null ? [] : ["name", text])];
  const at = updatedAt === null ? [] : ["updated_at", updatedAt.toISOString()];
  return [
    ["DEL", key],
    ["HSET", key, ...fields, ...at],
  ];
}
