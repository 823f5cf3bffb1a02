import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import { connectResp, type RespConnection } from "../wire/resp/connection.ts";
import { RespError } from "../wire/resp/errors.ts";
import { freePort } from "./free-port.ts";
import { Keeper } from "./keeper.ts";
import { findValkey, type ServerBinary } from "./valkey-binary.ts";

/** How a local server differs from the usual one. */
export interface ValkeyOptions {
  /** The program; absent: what {@link findValkey} finds. */
  readonly binary?: ServerBinary;
  /** Further options of the server, as `--maxclients`, `5`. `{folder}` in them is the server's folder. */
  readonly arguments?: readonly string[];
  /** Name to text: laid into its folder before the first start. */
  readonly files?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const startMilliseconds = 20_000;

/**
 * A Valkey (or Redis) of our own in a temporary folder, on 127.0.0.1 and a free port, without a password. It ends, and
 * its folder goes, when it is disposed or when this process ends in whatever way.
 */
export class LocalValkey implements AsyncDisposable {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly folder: string;
  readonly #kept: ConstructorParameters<typeof Keeper>[0];
  #keeper: Keeper | null = null;

  private constructor(port: number, kept: ConstructorParameters<typeof Keeper>[0]) {
    this.port = port;
    this.folder = kept.folder;
    this.#kept = kept;
  }

  /** Throws `CONFIGURATION_INVALID` where there is no such server, or it does not start. */
  static async start(options: ValkeyOptions = {}): Promise<LocalValkey> {
    const binary = options.binary ?? (await findValkey(options.signal));
    const folder = await mkdtemp(join(tmpdir(), "headwaters-valkey-"));
    try {
      for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, name), text);
      // Someone may take the free port before the server does: then it is tried with another.
      for (let attempt = 1; ; attempt++) {
        const server = new LocalValkey(...(await settings(folder, binary, options, attempt)));
        try {
          await server.start(options.signal);
          return server;
        } catch (error) {
          const taken = /bind|in use/i.test(asHeadwatersError(error).message);
          if (!taken || attempt === 5) throw error;
        }
      }
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      options.signal?.throwIfAborted();
      throw new HeadwatersError(
        "CONFIGURATION_INVALID",
        `${binary.command} did not start: ${asHeadwatersError(error).message}`,
        { hint: "Start it by hand to see why, or name a server that runs.", cause: error },
      );
    }
  }

  /** A connection to one of its databases. */
  async connect(database = 0, signal: AbortSignal = AbortSignal.timeout(startMilliseconds)): Promise<RespConnection> {
    const { host, port } = this;
    return connectResp({ host, port, username: null, password: null, database, tls: null, timeout: 5_000 }, signal);
  }

  /** Starts the server, again after `stop`, on the same port, with what it has saved. */
  async start(signal?: AbortSignal): Promise<void> {
    const keeper = new Keeper(this.#kept);
    this.#keeper = keeper;
    let code: number | null = null;
    const ended = keeper.ended.then((ended) => (code = ended));
    const deadline = Date.now() + startMilliseconds;
    while (!(await this.#isReady())) {
      if (signal?.aborted || code !== null || Date.now() > deadline) {
        if (code === null) await keeper.stop("SIGKILL");
        signal?.throwIfAborted();
        throw new Error(`${await readFile(this.#kept.log, "utf8")}\n(exit code ${code})`);
      }
      await Promise.race([delay(20), ended]);
    }
  }

  /** SIGTERM shuts down in good order, SIGKILL is a crash. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#keeper?.stop(signal);
    this.#keeper = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keeper === null) await rm(this.folder, { recursive: true, force: true });
    else await this.#keeper.close();
    this.#keeper = null;
  }

  /** It has loaded what it saved; any other error than LOADING is an answer of a server that is ready. */
  async #isReady(): Promise<boolean> {
    try {
      const connection = await this.connect();
      connection.destroy();
      return true;
    } catch (error) {
      return error instanceof RespError && error.word !== "LOADING";
    }
  }
}

async function settings(
  folder: string,
  binary: ServerBinary,
  options: ValkeyOptions,
  attempt: number,
): Promise<[number, ConstructorParameters<typeof Keeper>[0]]> {
  const port = await freePort();
  const further = (options.arguments ?? []).map((text) => text.replaceAll("{folder}", folder));
  return [
    port,
    {
      command: binary.command,
      arguments: [
        ...pairs({ port: String(port), bind: "127.0.0.1", dir: folder, save: "", appendonly: "no" }),
        ...binary.arguments,
        ...further,
      ],
      // No variable of ours reaches the server.
      environment: { LC_ALL: "C", TZ: "UTC", PATH: process.env["PATH"] ?? "", ...binary.environment },
      folder,
      log: join(folder, `server-${attempt}.log`),
      lastSignal: "SIGKILL",
      account: null,
    },
  ];
}

function pairs(options: Readonly<Record<string, string>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
}
