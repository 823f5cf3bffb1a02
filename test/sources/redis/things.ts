import type { Source } from "../../../src/protocol/source.ts";
import { definition } from "../../../src/sources/redis/index.ts";
import type { SourceHarness, Thing } from "../../../src/testing/source-checks.ts";
import type { RedisServer } from "../../servers/redis.ts";
import { settingsOf } from "./reading.ts";

/** The suite's tables: their keys, with a column for each field. */
export const tables = Object.fromEntries(
  ["things", "gone"].map((name) => [
    name,
    { pattern: `${name}:{id}`, columns: { name: "STRING", updated_at: "UTC_DATETIME" } },
  ]),
);

/** The suite's table as hashes: `things:{id}`. */
export function things(server: RedisServer): SourceHarness {
  const drop = async (name: string): Promise<void> => {
    const keys = (await server.run("KEYS", `${name}:*`)) as readonly Buffer[];
    await server.runAll(keys.map((key) => ["DEL", key]));
  };
  return {
    capabilities: { ...definition.capabilities, passes: ["full", "keys"] },
    keySpace: true,
    open: (): Promise<Source> => {
      const configuration = definition.configuration.parse({ ...settingsOf(server), tables });
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
