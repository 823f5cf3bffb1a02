import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import process from "node:process";
import { freePort } from "./free-port.ts";
import { type Kept, Keeper } from "./keeper.ts";

/**
 * A server of our own on a loopback address, in a temporary folder. It ends, and its folder goes, when it is disposed
 * or when this process ends in whatever way.
 */
export interface LocalServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Holds its data, and what it says since its last start: `server.log`. */
  readonly folder: string;
  /** Starts it again after `stop`, on the same port, with the data that it kept. */
  start(signal?: AbortSignal): Promise<void>;
  /** Sends it a signal, by default the one that ends it in good order; resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Where a server is to be. */
export type Place = Pick<LocalServer, "host" | "port" | "folder">;

/** What there is to know of one kind of server. */
export interface Launch {
  /** For messages. */
  readonly title: string;
  /** In the name of its folder. */
  readonly name: string;
  /** What to do where it does not start. */
  readonly hint: string;
  /** The temporary folder is made in it; absent: the system's. */
  readonly parent?: string;
  readonly host?: string;
  /** Absent: a free one. */
  readonly port?: number;
  readonly account?: Kept["account"];
  readonly startMilliseconds: number;
  /** End it in good order, and at once. */
  readonly signals: { readonly stop: NodeJS.Signals; readonly kill: NodeJS.Signals };
  readonly signal?: AbortSignal | undefined;
  /** Fills the folder before the first start. */
  prepare?(folder: string): Promise<void>;
  /** The program to run; it may lay files that name the port. */
  program(place: Place): Program | Promise<Program>;
  /** Whether it can be used. */
  isReady(place: Place): Promise<boolean>;
  /** What its log says where another program has taken the port. */
  readonly portTaken?: RegExp;
  /** What its log says of why it ended; absent: all of it. */
  reason?(log: string): string;
}

type Program = Pick<Kept, "command" | "arguments" | "environment">;

/** Throws `CONFIGURATION_INVALID` where the server does not start. */
export async function launch(kind: Launch): Promise<LocalServer> {
  const { title, name, hint, parent = tmpdir(), portTaken, signal } = kind;
  const folder = await mkdtemp(join(parent, `headwaters-${name}-`));
  try {
    await kind.prepare?.(folder);
    // Another program may take the free port before the server does: then it is tried with another.
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

/** The environment of a server: of our variables only these reach it, no secrets and no PG*. Its messages are English. */
export function serverEnvironment(...names: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C", TZ: "UTC" };
  for (const name of ["PATH", "SystemRoot", "TEMP", "TMP", ...names]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
