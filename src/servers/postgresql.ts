import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, lchown, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import { freePort } from "./free-port.ts";
import { type Kept, Keeper } from "./keeper.ts";
import { copyBinaries, findBinaries } from "./postgresql-binaries.ts";

const run = promisify(execFile);

/** How a local server differs from the usual one. */
export interface PostgresqlOptions {
  /** Server settings, over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Name to text: laid into the data folder before the first start, as `server.crt` or `pg_hba.conf`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Nothing here outlives the process, so nothing is synced to disk; `logical` lets change streams be tried. */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  wal_level: "logical",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_prepared_transactions: "10",
  max_wal_size: "2GB",
  timezone: "UTC",
  log_timezone: "UTC",
};

interface Account {
  readonly uid: number;
  readonly gid: number;
}

const startMilliseconds = 60_000;

/**
 * A PostgreSQL 15 of our own in a temporary folder: on 127.0.0.1 and a free port, with password authentication
 * (SCRAM). It ends, and its folder goes, when it is disposed or when this process ends in whatever way.
 */
export class LocalPostgresql implements AsyncDisposable {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly user = "postgres";
  readonly password: string;
  readonly #kept: Kept;
  #keeper: Keeper | null = null;

  private constructor(port: number, password: string, kept: Kept) {
    this.port = port;
    this.password = password;
    this.#kept = kept;
  }

  /** Throws `CONFIGURATION_INVALID` where the package with the binaries is missing, or the server does not start. */
  static async start(options: PostgresqlOptions = {}): Promise<LocalPostgresql> {
    const native = findBinaries();
    const account = await unprivilegedAccount();
    const folder = await mkdtemp(join(await commonTemporaryFolder(account), "headwaters-postgresql-"));
    try {
      await copyBinaries(native, join(folder, "native"));
      return await LocalPostgresql.#startIn(folder, account, options);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      options.signal?.throwIfAborted();
      if (error instanceof HeadwatersError) throw error;
      throw new HeadwatersError(
        "CONFIGURATION_INVALID",
        `PostgreSQL did not start: ${asHeadwatersError(error).message}`,
        {
          hint: "The npm package has it for Linux with glibc, macOS and Windows; it needs about 200 MB of temporary space.",
          cause: error,
        },
      );
    }
  }

  static async #startIn(folder: string, account: Account | null, options: PostgresqlOptions): Promise<LocalPostgresql> {
    const [data, passwordFile] = [join(folder, "data"), join(folder, "password")];
    const password = randomBytes(12).toString("hex");
    const environment = serverEnvironment(join(folder, "native", "lib"));
    await writeFile(passwordFile, password);
    if (account !== null) await give(folder, account);
    await run(
      join(folder, "native", "bin", "initdb"),
      ["--pgdata", data, "--username", "postgres", "--pwfile", passwordFile, "--auth", "scram-sha-256"].concat([
        "--encoding",
        "UTF8",
        "--locale",
        "C",
        "--no-sync",
        "--no-instructions",
      ]),
      { cwd: folder, env: environment, windowsHide: true, signal: options.signal, ...account },
    );
    await rm(passwordFile);
    for (const [name, text] of Object.entries(options.files ?? {})) {
      await writeFile(join(data, name), text, { mode: 0o600 });
      if (account !== null) await lchown(join(data, name), account.uid, account.gid);
    }
    const flags = Object.entries({ ...settings, ...options.settings }).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ]);
    // Someone may take the free port before the server does: then it is tried with another.
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const log = join(folder, `server-${attempt}.log`);
      const server = new LocalPostgresql(port, password, {
        command: join(folder, "native", "bin", "postgres"),
        arguments: ["-D", data, "-p", String(port), ...flags],
        environment,
        folder,
        log,
        lastSignal: "SIGQUIT",
        account,
      });
      try {
        await server.start(options.signal);
        return server;
      } catch (error) {
        const taken = (await readFile(log, "utf8")).includes("could not create any TCP/IP sockets");
        if (!taken || attempt === 5) throw error;
      }
    }
  }

  /** Where its binaries, data and log are. */
  get folder(): string {
    return this.#kept.folder;
  }

  /** The address of a database as a URL, password and all. */
  connectionString(database = "postgres"): string {
    return `postgresql://${this.user}:${this.password}@${this.host}:${this.port}/${encodeURIComponent(database)}`;
  }

  /** Process id of the server. */
  async pid(): Promise<number> {
    return Number((await readFile(join(this.#kept.folder, "data", "postmaster.pid"), "utf8")).split("\n")[0]);
  }

  /** Starts the server, again after `stop`, on the same port and data. */
  async start(signal?: AbortSignal): Promise<void> {
    const keeper = new Keeper(this.#kept);
    this.#keeper = keeper;
    let code: number | null = null;
    const ended = keeper.ended.then((ended) => (code = ended));
    const deadline = Date.now() + startMilliseconds;
    while (!(await this.#isReady())) {
      if (signal?.aborted || code !== null || Date.now() > deadline) {
        if (code === null) await keeper.stop("SIGQUIT");
        signal?.throwIfAborted();
        throw new Error(`${await readFile(this.#kept.log, "utf8")}\n(exit code ${code})`);
      }
      await Promise.race([delay(20), ended]);
    }
  }

  /** `fast` ends all sessions and shuts down in good order; `immediate` is a crash: the next start recovers. */
  async stop(how: "fast" | "immediate" = "fast"): Promise<void> {
    await this.#keeper?.stop(how === "fast" ? "SIGINT" : "SIGQUIT");
    this.#keeper = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keeper === null) await rm(this.#kept.folder, { recursive: true, force: true });
    else await this.#keeper.close();
    this.#keeper = null;
  }

  /** The eighth line of the lock file is the server's own word; `pg_ctl` waits for the same. */
  async #isReady(): Promise<boolean> {
    try {
      const lines = (await readFile(join(this.#kept.folder, "data", "postmaster.pid"), "utf8")).split("\n");
      return lines[3] === String(this.port) && lines[7]?.trim() === "ready";
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
      throw error;
    }
  }
}

/** PostgreSQL refuses to run as root, so root lends it an account that every system has. `null`: we are not root. */
async function unprivilegedAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // `id` fails where there is no such account: the next one.
    }
  }
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    "PostgreSQL can't run as root, and there is no account to lend it.",
    {
      hint: "Run this as an ordinary user, or create the account `nobody`.",
    },
  );
}

/** A temporary folder that `account` can reach: root's own TMPDIR may be closed to it. */
async function commonTemporaryFolder(account: Account | null): Promise<string> {
  if (account === null) return tmpdir();
  for (const folder of [tmpdir(), "/tmp", "/var/tmp"]) {
    if (await isOpenToOthers(folder)) return folder;
  }
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    `No temporary folder is open to other users than root (${tmpdir()}).`,
    {
      hint: "Set TMPDIR to a folder that every user may enter.",
    },
  );
}

async function isOpenToOthers(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  return dirname(folder) === folder || isOpenToOthers(dirname(folder));
}

/** Gives a folder and all that is in it to an account, and closes it to others. */
async function give(folder: string, { uid, gid }: Account): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true })) await lchown(join(folder, entry), uid, gid);
  await lchown(folder, uid, gid);
  await chmod(folder, 0o700);
}

/** No variable of ours (secrets, PG*) reaches the server; its messages are English, since we read them. */
function serverEnvironment(libraries: string): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C", TZ: "UTC", LD_LIBRARY_PATH: libraries };
  for (const name of ["PATH", "SystemRoot", "TEMP", "TMP"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
