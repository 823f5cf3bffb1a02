import type { LocalResp } from "../src/servers/resp-server.ts";
import { launchValkey } from "../src/servers/valkey.ts";
import { Commands } from "../src/wire/resp/commands.ts";
import type { RespConnection } from "../src/wire/resp/connection.ts";
import { RespError } from "../src/wire/resp/errors.ts";

/** A Valkey of our own with `keys` mixed keys: strings, hashes, sorted sets, lists and sets, some with a time to live. */
export async function startKeys(keys: number): Promise<LocalResp> {
  const server = await launchValkey({ installed: true });
  try {
    await send(server, mixed(keys));
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** Changes so many keys, spread over all. */
export async function touchKeys(server: LocalResp, keys: number, count: number, round: number): Promise<void> {
  const step = Math.floor(keys / count / 5) * 5;
  await send(
    server,
    Array.from({ length: count }, (_, index) => ["SET", `session:${index * step}`, `changed in ${round}`]),
  );
}

/** The commands that give a collection of each type these members. */
const collections = {
  hash: (ids: readonly number[]) => ["HSET", "hash", ...ids.flatMap((id) => [`field:${id}`, `value of ${id}`])],
  set: (ids: readonly number[]) => ["SADD", "set", ...ids.map((id) => `member:${id}`)],
  list: (ids: readonly number[]) => ["RPUSH", "list", ...ids.map((id) => `item:${id}`)],
  zset: (ids: readonly number[]) => ["ZADD", "zset", ...ids.flatMap((id) => [id % 1_000, `member:${id}`])],
} as const satisfies Record<string, (ids: readonly number[]) => (string | number)[]>;

export type Collection = keyof typeof collections;
export const collectionTypes = Object.keys(collections) as readonly Collection[];

/** Collections, each with so many members, in place of all else. */
export async function fillLarge(server: LocalResp, types: readonly Collection[], members: number): Promise<void> {
  await send(server, [["FLUSHALL"]]);
  await send(server, large(types, members));
}

function* mixed(keys: number): Generator<(string | number)[]> {
  for (let key = 0; key < keys; key++) {
    const kind = key % 5;
    if (kind < 2) {
      const value = JSON.stringify({ user: key, token: "x".repeat(30), at: 1_700_000_000 + key });
      yield ["SET", `session:${key}`, value, ...(kind === 1 ? ["EX", 86_400] : [])];
    } else if (kind === 2) {
      yield [
        "HSET",
        `user:${key}`,
        "name",
        `name ${key}`,
        "email",
        `u${key}@example.com`,
        "age",
        key % 90,
        "city",
        "Zürich",
      ];
    } else if (kind === 3) yield ["ZADD", `board:${key}`, 1.5, "alice", 2, `bob${key}`, 17, "carol"];
    else if (key % 2 === 0) yield ["SADD", `tags:${key}`, "red", "green", `t${key}`];
    else yield ["RPUSH", `queue:${key}`, "a", "b", `job ${key}`];
  }
}

function* large(types: readonly Collection[], members: number): Generator<(string | number)[]> {
  const together = 50;
  for (let first = 0; first < members; first += together) {
    // In no order, as time would have it.
    const ids = Array.from({ length: together }, (_, index) => ((first + index) * 7_919) % members);
    for (const type of types) yield collections[type](ids);
  }
}

async function send(server: LocalResp, all: Iterable<readonly (string | number)[]>): Promise<void> {
  const connection: RespConnection = await server.connect(0, new AbortController().signal);
  connection.use(new AbortController().signal);
  const commands = new Commands();
  const flush = async (): Promise<void> => {
    connection.send(commands);
    while (connection.pending > 0) {
      const reply = await connection.reply();
      if (reply instanceof RespError) throw reply;
    }
  };
  try {
    for (const command of all) {
      commands.add(...command.map(String));
      if (commands.count === 2_000) await flush();
    }
    await flush();
  } finally {
    connection.destroy();
  }
}
