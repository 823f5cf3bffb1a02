import { afterAll, beforeAll, expect, test } from "vitest";
import { definition } from "../../src/sources/dragonflydb/index.ts";
import { type RedisServer, startValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";
import { settingsOf } from "../sources/redis/reading.ts";
import { PythonClient, type Updated } from "./client.ts";
import { serve, type Serving } from "./serving.ts";

const client = await PythonClient.start().catch((error: Error) => error);

await describeWith(
  async () => {
    if (client instanceof Error) throw client;
    return startValkey(5);
  },
  "DragonflyDB's published example, under Fivetran",
  (server) => suite(server, client as PythonClient),
);

function suite(server: RedisServer, python: PythonClient): void {
  const configuration = { ...(settingsOf(server) as Record<string, string>), batch_size: "100", key_pattern: "" };
  const table = `db${server.database}.dragonfly_data`;
  let serving: Serving;

  beforeAll(async () => {
    serving = await serve(definition);
  });

  afterAll(async () => {
    await serving[Symbol.asyncDispose]();
  });

  const sync = (copy: string, state: string | null): Promise<Updated> =>
    python.update(copy, { address: serving.address, configuration, state });

  async function values(copy: string): Promise<Record<string, unknown>> {
    return Object.fromEntries((await python.rows(copy, table)).map(({ key, value }) => [key![1], value![1]]));
  }

  test("sends what is new or changed, and deletes what is gone or expired", async () => {
    await server.runAll([
      ["SET", "session:1", "one"],
      ["SET", "session:2", "two", "EX", "1000"],
      ["HSET", "user:1", "name", "Ada", "city", "Zürich"],
      ["RPUSH", "queue", "a", "b"],
      ["SADD", "tags", "red", "green"],
      ["ZADD", "board", "1.5", "alice"],
      ...Array.from({ length: 3_000 }, (_, id) => ["SET", `cache:${id}`, `value ${id}`]),
    ]);
    const copy = python.newCopy();
    const first = await sync(copy, null);
    expect(first.counts).toMatchObject({ upsert: 3_006, delete: 0 });
    expect((await python.columns(copy, table))?.map(([name, type]) => [name, type])).toEqual([
      ["key", "STRING"],
      ["value", "STRING"],
      ["data_type", "STRING"],
      ["ttl", "INT"],
      ["last_modified", "UTC_DATETIME"],
      ["size", "INT"],
    ]);
    // Keys and digests, compressed: some 25 bytes a key.
    expect(first.state!.length).toBeLessThan(3_006 * 40);

    await server.runAll([
      ["SET", "session:1", "one, changed"],
      ["EXPIRE", "session:2", "2000"],
      ["SADD", "tags", "blue"],
      ["SET", "new", "value"],
      ["DEL", "queue", "cache:7"],
      ["PEXPIRE", "board", "1"],
    ]);
    await expect.poll(() => server.run("EXISTS", "board")).toBe(0);
    const second = await sync(copy, first.state);
    expect(second.counts).toEqual({ upsert: 3, update: 0, delete: 3, truncate: 0 });
    const seen = await values(copy);
    expect(Object.keys(seen).length).toBe(3_004);
    expect(seen).toMatchObject({
      "session:1": "one, changed",
      tags: '["blue","green","red"]',
      new: "value",
      "user:1": '{"city":"Zürich","name":"Ada"}',
    });
    const third = await sync(copy, second.state);
    expect(third.counts).toEqual({ upsert: 0, update: 0, delete: 0, truncate: 0 });
    expect(third.checkpoints).toBe(1);
  });

  test("streams are sent entry by entry", async () => {
    await server.runAll([
      ["XADD", "events", "1-1", "what", "opened"],
      ["XADD", "events", "2-1", "what", "closed"],
    ]);
    const copy = python.newCopy();
    const { state } = await sync(copy, null);
    await server.run("XADD", "events", "3-1", "what", "opened again");
    await sync(copy, state);
    const rows = await python.rows(copy, `${table}_streams`);
    expect(rows.map(({ id, fields }) => [id![1], fields![1]])).toEqual([
      ["1-1", expect.stringContaining("opened")],
      ["2-1", expect.stringContaining("closed")],
      ["3-1", expect.stringContaining("opened again")],
    ]);
  });
}
