import { expect, test } from "vitest";
import type { SourceDefinition } from "../../src/protocol/source.ts";
import { definition as dragonflydb } from "../../src/sources/dragonflydb/index.ts";
import { definition as postgresql } from "../../src/sources/postgresql/index.ts";
import { definition as redis } from "../../src/sources/redis/index.ts";
import { definition as valkey } from "../../src/sources/valkey/index.ts";
import { definition as yugabytedb } from "../../src/sources/yugabytedb/index.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { startValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";
import { settingsOf } from "../sources/redis/reading.ts";
import { PythonClient } from "./client.ts";
import { serve } from "./serving.ts";

const client = await PythonClient.start().catch((error: Error) => error);

async function withClient<Server>(start: () => Promise<Server>): Promise<Server> {
  if (client instanceof Error) throw client;
  return start();
}

/** Fills the source, and syncs one new row under each name, with the state that the name before it left. */
async function expectToGoOn(
  definitions: readonly SourceDefinition[],
  configuration: Readonly<Record<string, string>>,
  add: (index: number) => Promise<unknown>,
): Promise<void> {
  const python = client as PythonClient;
  const copy = python.newCopy();
  let state: string | null = null;
  for (const [index, definition] of definitions.entries()) {
    await add(index);
    await using serving = await serve(definition);
    const synced = await python.update(copy, { address: serving.address, configuration, state });
    expect({ name: definition.name, task: synced.task, counts: synced.counts }).toMatchObject({
      ...{ name: definition.name, task: null },
      counts: index === 0 ? { upsert: 41 } : { upsert: 1, update: 0, delete: 0, truncate: 0 },
    });
    state = synced.state;
  }
}

await describeWith(
  () => withClient(startPostgresql),
  "Fivetran's state of PostgreSQL",
  (server) => {
    test("goes on under the other name of its source", async () => {
      const { host, port, database, user, password, connectionString } = server;
      await runSql(
        connectionString,
        `CREATE TABLE kin (id int PRIMARY KEY, updated_at timestamptz DEFAULT now());
         INSERT INTO kin SELECT n FROM generate_series(1, 40) n`,
      );
      const configuration = { host, port: String(port), database, user, password, lag: "0" };
      await expectToGoOn([yugabytedb, postgresql, yugabytedb], configuration, (index) =>
        runSql(connectionString, `INSERT INTO kin VALUES (${1_000 + index})`),
      );
    });
  },
);

await describeWith(
  () => withClient(() => startValkey(11)),
  "Fivetran's state of Valkey",
  (server) => {
    test("goes on under the other names of its source", async () => {
      await server.runAll(Array.from({ length: 40 }, (_, index) => ["SET", `key:${index}`, index]));
      await expectToGoOn(
        [dragonflydb, redis, valkey, dragonflydb, valkey, redis, dragonflydb],
        settingsOf(server) as Record<string, string>,
        (index) => server.run("SET", `new:${index}`, index),
      );
    });
  },
);
