import { launchRedisStack } from "../../src/servers/redis-stack.ts";
import type { LocalResp, RespOptions } from "../../src/servers/resp-server.ts";
import { launchValkey } from "../../src/servers/valkey.ts";
import { Commands } from "../../src/wire/resp/commands.ts";
import { connectResp, type RespConnection } from "../../src/wire/resp/connection.ts";
import { RespError } from "../../src/wire/resp/errors.ts";
import type { ReplyValue } from "../../src/wire/resp/replies.ts";
import { sharedServer } from "./require.ts";
import type { ServerName } from "./shared.ts";

type Part = string | number | Uint8Array;

/** One database of a server of the Redis protocol, empty at first. Disposing empties it again. */
export interface RedisServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
  /** Runs a command. Throws where its answer is an error. */
  run(...command: Part[]): Promise<ReplyValue>;
  /** Runs many commands, some thousand at a time on their way. Throws at the first answer that is an error. */
  runAll(commands: Iterable<readonly Part[]>): Promise<void>;
}

/** A server that only this test file uses, so that it may be stopped. */
export interface OwnRedis extends RedisServer {
  readonly folder: string;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  start(): Promise<void>;
}

/**
 * An empty database on the server that all test files share: the one of HEADWATERS_TEST_DRAGONFLYDB
 * (`redis://user:password@host:port`), else a Valkey 9. Each file names a number of its own, 0 to 15.
 */
export async function startValkey(database: number): Promise<RedisServer> {
  return openDatabase(await sharedServer("dragonflydb"), database, "dragonflydb");
}

/** The same on HEADWATERS_TEST_REDIS_STACK, else on a Redis Stack 7.4. */
export async function startRedisStack(database: number): Promise<RedisServer> {
  return openDatabase(await sharedServer("redisstack"), database, "redisstack");
}

/** A Valkey 9 of its own (about 0.1 s), with other options or files, or to be stopped by the test. */
export async function startOwnValkey(options: RespOptions = {}): Promise<OwnRedis> {
  return own(await launchValkey(options));
}

/** A Redis Stack 7.4 of its own; unlike Valkey's package it speaks TLS. */
export async function startOwnRedisStack(options: RespOptions = {}): Promise<OwnRedis> {
  return own(await launchRedisStack(options));
}

async function openDatabase(address: string, database: number, name: ServerName): Promise<RedisServer> {
  const url = new URL(address);
  const where = {
    host: url.hostname,
    port: Number(url.port || 6379),
    username: given(url.username),
    password: given(url.password),
    database,
  };
  const client = new Client(where);
  const keys = await client.run(["DBSIZE"]);
  if (keys !== 0) {
    client.close();
    throw new Error(`database ${database} of the server for ${name} has ${String(keys)} keys: tests want it empty`);
  }
  return {
    ...where,
    run: (...command) => client.run(command),
    runAll: (commands) => client.runAll(commands),
    async [Symbol.asyncDispose]() {
      await client.run(["FLUSHDB"]);
      client.close();
    },
  };
}

function own(server: LocalResp): OwnRedis {
  const where = { host: server.host, port: server.port, username: null, password: null, database: 0 };
  const client = new Client(where);
  return {
    ...where,
    folder: server.folder,
    run: (...command) => client.run(command),
    runAll: (commands) => client.runAll(commands),
    async stop(signal) {
      client.close();
      await server.stop(signal);
    },
    start: () => server.start(),
    async [Symbol.asyncDispose]() {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Connects when it is first used, and again after `close`. */
class Client {
  readonly #where: Pick<RedisServer, "host" | "port" | "username" | "password" | "database">;
  #connection: Promise<RespConnection> | null = null;

  constructor(where: Pick<RedisServer, "host" | "port" | "username" | "password" | "database">) {
    this.#where = where;
  }

  async run(command: readonly Part[]): Promise<ReplyValue> {
    return (await this.#connect()).call(...command.map(bytesOf));
  }

  async runAll(all: Iterable<readonly Part[]>): Promise<void> {
    const connection = await this.#connect();
    const commands = new Commands();
    const flush = async (): Promise<void> => {
      connection.send(commands);
      while (connection.pending > 0) {
        const reply = await connection.reply();
        if (reply instanceof RespError) throw reply;
      }
    };
    for (const command of all) {
      commands.add(...command.map(bytesOf));
      if (commands.count === 5_000) await flush();
    }
    await flush();
  }

  close(): void {
    // One that could not be opened was reported where it was used.
    void this.#connection?.then(
      (connection) => connection.destroy(),
      () => {},
    );
    this.#connection = null;
  }

  async #connect(): Promise<RespConnection> {
    // The server may have been restarted since.
    if ((await this.#connection)?.alive === false) this.#connection = null;
    const never = new AbortController().signal;
    const where = { ...this.#where, tls: null, timeout: 60_000, silence: 60_000 };
    this.#connection ??= connectResp(where, never).catch((error: unknown) => {
      this.#connection = null;
      throw error;
    });
    return this.#connection;
  }
}

function bytesOf(part: Part): string | Uint8Array {
  return typeof part === "number" ? String(part) : part;
}

function given(part: string): string | null {
  return part === "" ? null : decodeURIComponent(part);
}
