import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import process from "node:process";
import { freePort } from "./free-port.ts";
import { type Kept, Keeper } from "./keeper.ts";

/**
 * A local server on a loopback address, in a temporary folder. The server ends and the folder is removed when it is
 * disposed, or when this process ends for any reason.
 */
export interface LocalServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Holds the server's data, and its output since the last start in `server.log`. */
  readonly folder: string;
  /** Starts the server again after `stop`, on the same port, with the data it kept. */
  start(signal?: AbortSignal): Promise<void>;
  /** Sends the server a signal, by default the one for an orderly end. Resolves when the server has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** The address and folder of a server. */
export type Place = Pick<LocalServer, "host" | "port" | "folder">;

/** How to launch one kind of server. */
export interface Launch {
  /** The server's name in messages. */
  readonly title: string;
  /** Part of the temporary folder's name. */
  readonly name: string;
  /** The hint of the error if the server does not start. */
  readonly hint: string;
  /** The folder in which the temporary folder is made; absent: the system's. */
  readonly parent?: string;
  readonly host?: string;
  /** Absent: a free port. */
  readonly port?: number;
  readonly account?: Kept["account"];
  readonly startMilliseconds: number;
  /** The signals that stop the server in good order, and at once. */
  readonly signals: { readonly stop: NodeJS.Signals; readonly kill: NodeJS.Signals };
  readonly signal?: AbortSignal | undefined;
  /** Fills the folder before the first start. */
  prepare?(folder: string): Promise<void>;
  /** The program to run. This function may write files that contain the port. */
  program(place: Place): Program | Promise<Program>;
  /** Whether the server can be used. */
  isReady(place: Place): Promise<boolean>;
  /** Matches the log if another program has taken the port. */
  readonly portTaken?: RegExp;
  /** The part of the log that shows why the server ended; absent: all of it. */
  reason?(log: string): string;
}

type Program = Pick<Kept, "command" | "arguments" | "environment">;

/** Starts a server. Throws `CONFIGURATION_INVALID` if it does not start. */
export async function launch(kind: Launch): Promise<LocalServer> {
  const { title, name, hint, parent = tmpdir(), portTaken, signal } = kind;
  const folder = await mkdtemp(join(parent, `headwaters-${name}-`));
  try {
    await kind.prepare?.(folder);
    // If another program takes the free port before the server does, another port is tried.
    for (let attempt = 1; ; attempt++) {
      const server = await serverIn(folder, kind);
      try {
        await server.start(signal);
        return server;
      } catch (error) {
        if (portTaken?.test(asHeadwatersError(error).message) !== true || attempt === 5) throw error;
      }
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    signal?.throwIfAborted();
    const reason = asHeadwatersError(error).message;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${title} did not start: ${reason}`, { hint, cause: error });
  }
}

async function serverIn(folder: string, kind: Launch): Promise<LocalServer> {
  const { signals, account = null } = kind;
  const place = { host: kind.host ?? "127.0.0.1", port: kind.port ?? (await freePort()), folder };
  const log = join(folder, "server.log");
  const kept: Kept = { ...(await kind.program(place)), folder, log, lastSignal: signals.kill, account };
  let keeper: Keeper | null = null;
  return {
    ...place,
    async start(signal) {
      await rm(log, { force: true });
      const started = new Keeper(kept);
      keeper = started;
      let code: number | null = null;
      const ended = started.ended.then((ended) => (code = ended));
      const deadline = Date.now() + kind.startMilliseconds;
      while (!(await kind.isReady(place))) {
        if (signal?.aborted || code !== null || Date.now() > deadline) {
          if (code === null) await started.stop(signals.kill);
          signal?.throwIfAborted();
          const said = await readFile(log, "utf8");
          throw new Error(`${kind.reason?.(said) ?? said} (exit code ${code})`);
        }
        await Promise.race([delay(20), ended]);
      }
    },
    async stop(signal = signals.stop) {
      await keeper?.stop(signal);
      keeper = null;
    },
    async [Symbol.asyncDispose]() {
      if (keeper === null) await rm(folder, { recursive: true, force: true });
      else await keeper.close();
      keeper = null;
    },
  };
}

/**
 * The environment of a server. Only these variables of ours are passed on: no secrets and no PG*. Messages are in
 * English.
 */
export function serverEnvironment(...names: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C", TZ: "UTC" };
  for (const name of ["PATH", "SystemRoot", "TEMP", "TMP", ...names]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
