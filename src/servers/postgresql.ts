import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, lchown, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Kept } from "./keeper.ts";
import { launch, type LocalServer, type Place, serverEnvironment } from "./launch.ts";
import { copyBinaries, findBinaries } from "./postgresql-binaries.ts";

const run = promisify(execFile);

/** Options of a local server. */
export interface PostgresqlOptions {
  /** Server settings; they override ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Files to write to the data folder before the first start, such as `server.crt` or `pg_hba.conf`: name to text. */
  readonly files?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The data does not outlive the process, so nothing is synced to disk. `logical` allows tests of change streams. */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  wal_level: "logical",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  // Every database of the tests may have a stream of its own.
  max_replication_slots: "100",
  max_wal_senders: "100",
  max_prepared_transactions: "10",
  max_wal_size: "2GB",
  timezone: "UTC",
  log_timezone: "UTC",
};

type Account = NonNullable<Kept["account"]>;

const startMilliseconds = 60_000;

/**
 * PostgreSQL 15 with password authentication (SCRAM). SIGINT ends all sessions and stops the server in good order;
 * SIGQUIT is a crash.
 */
export interface LocalPostgresql extends LocalServer {
  readonly user: string;
  readonly password: string;
  /** The URL of a database, with user and password. */
  connectionString(database?: string): string;
  /** The process id of the server. */
  pid(): Promise<number>;
}

/**
 * Starts PostgreSQL. Throws `CONFIGURATION_INVALID` if the package with the programs is missing, or the server does not
 * start.
 */
export async function launchPostgresql(options: PostgresqlOptions = {}): Promise<LocalPostgresql> {
  const native = findBinaries();
  const account = await unprivilegedAccount();
  const [user, password] = ["postgres", randomBytes(12).toString("hex")];
  const flags = Object.entries({ ...settings, ...options.settings }).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  const server = await launch({
    title: "PostgreSQL",
    name: "postgresql",
    hint: "The npm package has it for Linux with glibc, macOS and Windows; it needs about 200 MB of temporary space.",
    parent: await commonTemporaryFolder(account),
    account,
    startMilliseconds,
    signals: { stop: "SIGINT", kill: "SIGQUIT" },
    signal: options.signal,
    async prepare(folder) {
      await copyBinaries(native, join(folder, "native"));
      await makeData(folder, { user, password, account }, options);
    },
    program: ({ folder, port }) => ({
      command: join(folder, "native", "bin", "postgres"),
      arguments: ["-D", join(folder, "data"), "-p", String(port), ...flags],
      environment: environment(folder),
    }),
    isReady,
    portTaken: /could not create any TCP\/IP sockets/,
  });
  const { host, port, folder } = server;
  return {
    ...server,
    user,
    password,
    connectionString: (database = "postgres") =>
      `postgresql://${user}:${password}@${host}:${port}/${encodeURIComponent(database)}`,
    pid: async () => Number((await lockFile(folder))?.[0]),
  };
}

async function makeData(
  folder: string,
  { user, password, account }: { readonly user: string; readonly password: string; readonly account: Account | null },
  { files = {}, signal }: PostgresqlOptions,
): Promise<void> {
  const [data, passwordFile] = [join(folder, "data"), join(folder, "password")];
  await writeFile(passwordFile, password);
  if (account !== null) await give(folder, account);
  await run(
    join(folder, "native", "bin", "initdb"),
    [
      ...["--pgdata", data, "--username", user, "--pwfile", passwordFile, "--auth", "scram-sha-256"],
      ...["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"],
    ],
    { cwd: folder, env: environment(folder), windowsHide: true, signal, ...account },
  );
  await rm(passwordFile);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(data, name), text, { mode: 0o600 });
    if (account !== null) await lchown(join(data, name), account.uid, account.gid);
  }
}

function environment(folder: string): Record<string, string> {
  return { ...serverEnvironment(), LD_LIBRARY_PATH: join(folder, "native", "lib") };
}

/** Whether the lock file's eighth line says `ready`. The server writes this line; `pg_ctl` waits for it too. */
async function isReady({ folder, port }: Place): Promise<boolean> {
  const lines = await lockFile(folder);
  return lines?.[3] === String(port) && lines[7]?.trim() === "ready";
}

/** The lines of the server's lock file; `null`: no server runs. */
async function lockFile(folder: string): Promise<string[] | null> {
  try {
    return (await readFile(join(folder, "data", "postmaster.pid"), "utf8")).split("\n");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/**
 * An account for the server, for PostgreSQL refuses to run as root: one that every system has. `null`: this process
 * does not run as root.
 */
async function unprivilegedAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // `id` fails if the account does not exist: try the next.
    }
  }
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    "PostgreSQL can't run as root, and no other account was found for it.",
    {
      hint: "Run this as an ordinary user, or create the account `nobody`.",
    },
  );
}

/** A temporary folder that `account` can enter: root's own TMPDIR may be closed to it. */
async function commonTemporaryFolder(account: Account | null): Promise<string> {
  if (account === null) return tmpdir();
  for (const folder of [tmpdir(), "/tmp", "/var/tmp"]) {
    if (await isOpenToOthers(folder)) return folder;
  }
  throw new HeadwatersError("CONFIGURATION_INVALID", `Only root may enter the temporary folder (${tmpdir()}).`, {
    hint: "Set TMPDIR to a folder that every user may enter.",
  });
}

async function isOpenToOthers(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  return dirname(folder) === folder || isOpenToOthers(dirname(folder));
}

/** Makes `account` the owner of a folder and its contents, and closes the folder to others. */
async function give(folder: string, { uid, gid }: Account): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true })) await lchown(join(folder, entry), uid, gid);
  await lchown(folder, uid, gid);
  await chmod(folder, 0o700);
}
