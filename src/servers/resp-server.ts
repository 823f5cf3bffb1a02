import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectResp, type RespConnection } from "../wire/resp/connection.ts";
import { RespError } from "../wire/resp/errors.ts";
import { launch, type LocalServer, type Place, serverEnvironment } from "./launch.ts";

/** A server program that speaks the Redis protocol, and what it needs to run. */
export interface RespBinary {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Options of a local server. */
export interface RespOptions {
  /** Further options of the server program, such as `--maxclients`, `5`. `{folder}` stands for the server's folder. */
  readonly arguments?: readonly string[];
  /** Files to write to the server's folder before the first start: name to text. */
  readonly files?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A server that speaks the Redis protocol, without a password. SIGTERM stops it in good order; SIGKILL is a crash. */
export interface LocalResp extends LocalServer {
  /** Opens a connection to one of the server's databases. */
  connect(database?: number, signal?: AbortSignal): Promise<RespConnection>;
}

const startMilliseconds = 20_000;

/** Starts a server. Throws `CONFIGURATION_INVALID` if it does not start. */
export async function launchResp(binary: RespBinary, options: RespOptions = {}): Promise<LocalResp> {
  const server = await launch({
    title: binary.command,
    name: "valkey",
    hint: "Start it by hand to see why, or name a running server.",
    startMilliseconds,
    signals: { stop: "SIGTERM", kill: "SIGKILL" },
    signal: options.signal,
    async prepare(folder) {
      for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, name), text);
    },
    program: ({ host, port, folder }) => ({
      command: binary.command,
      arguments: [
        ...pairs({ port: String(port), bind: host, dir: folder, save: "", appendonly: "no" }),
        ...binary.arguments,
        ...(options.arguments ?? []).map((text) => text.replaceAll("{folder}", folder)),
      ],
      environment: { ...serverEnvironment(), ...binary.environment },
    }),
    isReady,
    portTaken: /bind|in use/i,
  });
  return { ...server, connect: (database, signal) => connect(server, database, signal) };
}

/** Whether the server has loaded its data. Any error but LOADING comes from a server that is ready. */
async function isReady(place: Place): Promise<boolean> {
  try {
    (await connect(place)).destroy();
    return true;
  } catch (error) {
    return error instanceof RespError && error.word !== "LOADING";
  }
}

function connect(
  { host, port }: Place,
  database = 0,
  signal = AbortSignal.timeout(startMilliseconds),
): Promise<RespConnection> {
  return connectResp(
    { host, port, username: null, password: null, database, tls: null, timeout: 5_000, silence: 60_000 },
    signal,
  );
}

function pairs(options: Readonly<Record<string, string>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
}
