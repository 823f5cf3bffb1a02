import { HeadwatersError } from "../../protocol/errors.ts";
import { Commands } from "../../wire/resp/commands.ts";
import { connectResp, type RespConnection, type RespSettings } from "../../wire/resp/connection.ts";
import { RespError } from "../../wire/resp/errors.ts";
import { counted } from "../../toolkit/figures.ts";
import type { Session } from "../session.ts";
import type { Scenario, ScenarioOptions } from "./scenario.ts";
import { changes, counts, keys, life, made, type RedisCommand } from "./shop.ts";
import { launchValkey } from "../../servers/valkey.ts";

/** The databases among which an empty one is searched, on a server that the user named. */
const databases = Array.from({ length: 15 }, (_, index) => 15 - index);

/** Starts a web shop with sessions, caches and queues, on the server that the user named or on our own. */
export async function startShop(
  { signal }: Session,
  { server: named }: ScenarioOptions,
  type: "redis" | "valkey" | "dragonflydb",
): Promise<Scenario> {
  const own = named === null ? await launchValkey({ installed: true, signal }) : null;
  try {
    const settings = await emptyDatabase(named === null ? `redis://${own!.host}:${own!.port}` : named, signal);
    const { host, port, username, password, database, tls } = settings;
    const run = async (commands: Iterable<RedisCommand>, signal: AbortSignal): Promise<number[]> => {
      const connection = await connectResp(settings, signal);
      connection.use(signal);
      try {
        return await runAll(connection, commands);
      } finally {
        connection.destroy();
      }
    };
    return {
      where:
        own === null
          ? `Database ${database} of ${host}:${port} is empty and is used; the demo's keys go when it ends.`
          : `It listens on ${host}:${port}, in ${own.folder}, and goes when the demo ends.`,
      source: {
        ...{ type, host, port, database, ssl: tls !== null },
        ...(username === null ? {} : { username }),
        ...(password === null ? {} : { password }),
        tables: {
          customers: { pattern: "customer:{id}", columns: { name: "STRING", city: "STRING", points: "LONG" } },
        },
      },
      rows: Object.values(counts).reduce((sum, rows) => sum + rows, 0) + counts.customers,
      changes,
      query: `SELECT data_type, count(*) AS keys, sum(size)::BIGINT AS size, count(*) FILTER (ttl >= 0) AS expiring, max(length(value)) AS longest
FROM db${database}.dragonfly_data
WHERE NOT _headwaters_deleted
GROUP BY ALL ORDER BY keys DESC`,
      async fill(signal) {
        await run(made(), signal);
        return Object.entries(counts)
          .map(([what, count]) => counted(count, what.replace(/s$/, "")))
          .join(", ");
      },
      async change(signal) {
        // Each command must change something. SET and LPOP do not reply with a number; the others reply with 1 or more.
        for (const reply of await run(Object.values(life).flat(), signal)) {
          if (reply === 0) throw new HeadwatersError("DEFECT", "a command of the demo changed nothing");
        }
        return changes.map(({ rows }) => rows);
      },
      async [Symbol.asyncDispose]() {
        // On the user's server only the demo's keys are removed. A user who stops the demo waits for this too.
        if (own === null) await run(removal(), AbortSignal.timeout(60_000));
        else await own[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await own?.[Symbol.asyncDispose]();
    throw error;
  }
}

/** Parses `redis://user:password@host:port/database`. Default: the first empty database. Throws if none is empty. */
async function emptyDatabase(address: string, signal: AbortSignal): Promise<RespSettings> {
  const url = parse(address);
  const given = url.pathname.replace(/^\//, "");
  const settings = {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 6379),
    username: part(url.username),
    password: part(url.password),
    tls: url.protocol === "rediss:" ? {} : null,
    timeout: 10_000,
    silence: 60_000,
  };
  for (const database of given === "" ? databases : [Number(given)]) {
    const connection = await connectResp({ ...settings, database }, signal).catch((thrown: unknown) => {
      if (thrown instanceof RespError && /index|SELECT/i.test(thrown.message)) return null;
      throw thrown;
    });
    if (connection === null) continue;
    connection.use(signal);
    const size = await connection.call("DBSIZE");
    connection.destroy();
    if (size === 0) return { ...settings, database };
  }
  const where = `${settings.host}:${settings.port}`;
  const what =
    given === "" ? `none of the databases 1 to 15 of ${where} is empty` : `database ${given} of ${where} is not empty`;
  throw new HeadwatersError("CONFIGURATION_INVALID", `--server: ${what}`, {
    hint: "Empty a database, or leave --server out. The demo writes only to an empty one.",
  });
}

function parse(address: string): URL {
  if (URL.canParse(address) && /^rediss?:$/.test(new URL(address).protocol)) return new URL(address);
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    "--server must be an address such as redis://user:password@host:6379/15",
    {
      hint: "Write rediss:// for TLS. Leave the database out, and the demo finds an empty one.",
    },
  );
}

function part(text: string): string | null {
  return text === "" ? null : decodeURIComponent(text);
}

function* removal(): Generator<RedisCommand> {
  for (const key of keys()) yield ["DEL", key];
}

/** Runs commands in pipelines of some thousand. Resolves to the replies that are numbers. Throws an error reply. */
async function runAll(connection: RespConnection, all: Iterable<RedisCommand>): Promise<number[]> {
  const numbers: number[] = [];
  const commands = new Commands();
  const flush = async (): Promise<void> => {
    connection.send(commands);
    while (connection.pending > 0) {
      const reply = await connection.reply();
      if (reply instanceof RespError) throw reply;
      if (typeof reply === "number") numbers.push(reply);
    }
  };
  for (const command of all) {
    commands.add(...command.map(String));
    if (commands.count === 5_000) await flush();
  }
  await flush();
  return numbers;
}
