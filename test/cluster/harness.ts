import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { freePort } from "../../src/servers/free-port.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { startTemporal, type TemporalServer } from "../servers/temporal.ts";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** Temporal, and PostgreSQL for sources and destinations. Throws `MissingServer`. */
export async function startServers(): Promise<
  AsyncDisposable & { readonly temporal: TemporalServer; readonly server: PostgresqlServer }
> {
  const temporal = await startTemporal();
  const server = await startPostgresql();
  return {
    temporal,
    server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await temporal[Symbol.asyncDispose]();
    },
  };
}

/** A worker that is silent for so long is given up in these tests. */
export const heartbeatSeconds = 4;

/** A worker that runs in a process of its own. */
export interface WorkerProcess {
  readonly pid: number;
  /** What it has logged so far. */
  log(): Promise<string>;
  /** What its attempts that were given up ended by, so far. */
  refusals(): Promise<Refusals>;
  /** Sends it a signal. */
  signal(name: NodeJS.Signals): void;
  /** Resolves to its exit code, or to the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** What a command ended with. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly error: string;
}

/** What stands in headwaters.yaml. */
export interface PlaceFile {
  readonly connections: Readonly<Record<string, object>>;
  readonly temporal: { readonly address: string; readonly taskQueue: string };
}

/** How often attempts were ended in each way, in the lines of logs. */
export interface Refusals {
  /** The destination refused their commit, by the lease or by the progress of the split. */
  readonly refused: number;
  /** The destination had ended their session. */
  readonly cutOff: number;
  /** They stopped by themselves, since Temporal told them first. */
  readonly givenUp: number;
}

const endings: Readonly<Record<keyof Refusals, RegExp>> = {
  refused: /\((LEASE_LOST|WRITE_CONFLICT)\)$/gm,
  cutOff: /\((CONNECTION_LOST|SERVER_UNAVAILABLE)\)$/gm,
  givenUp: /nobody waits.*\((?!LEASE_LOST|WRITE_CONFLICT|CONNECTION_LOST|SERVER_UNAVAILABLE)\w+\)$/gm,
};

/** A folder with a headwaters.yaml, and what is started in it. */
export class Place implements AsyncDisposable {
  readonly folder: string;
  /** Of the environment of what is started here. */
  variables: Readonly<Record<string, string>> = {};
  readonly #children = new Set<ChildProcess>();

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** `settings`: of the connection `shop`, besides its two sides. A source that is not PostgreSQL says all of its settings. */
  static async make(
    temporal: Pick<TemporalServer, "address">,
    from: PostgresqlServer | { readonly type: string },
    to: PostgresqlServer | string,
    settings: object = {},
  ): Promise<Place> {
    const place = new Place(await mkdtemp(join(tmpdir(), "headwaters-cluster-")));
    const at = ({ host, port, user, password, database }: PostgresqlServer): object => {
      return { host, port, user, password, database, sslmode: "disable" };
    };
    const shop = {
      source: "type" in from ? from : { type: "yugabytedb", ...at(from), schema: "public" },
      destination: typeof to === "string" ? { type: "duckdb", path: to } : { type: "postgresql", ...at(to) },
      schema: "copy",
      ...settings,
    };
    const taskQueue = `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
    await place.write({
      connections: { shop },
      temporal: { address: temporal.address, taskQueue, heartbeatTimeout: `${heartbeatSeconds}s` },
    });
    return place;
  }

  /** Fills a source of six splits that takes ten seconds to read, so that things happen meanwhile. */
  static async slow(
    temporal: Pick<TemporalServer, "address">,
    from: PostgresqlServer,
    to: PostgresqlServer,
    settings: object = {},
  ): Promise<Place> {
    await fillShop(from, 24_000);
    const slowly = { parallel: 4, maxRowsPerSecond: 3_000, commitInterval: "500ms" };
    return Place.make(temporal, from, to, { ...slowly, ...settings });
  }

  /** JSON is YAML. */
  async write(file: object, name = "headwaters.yaml"): Promise<void> {
    await writeFile(join(this.folder, name), JSON.stringify(file, null, 1));
  }

  async read(): Promise<PlaceFile> {
    return JSON.parse(await readFile(join(this.folder, "headwaters.yaml"), "utf8")) as PlaceFile;
  }

  /** Starts a worker and waits until it works. */
  async worker(
    options: { readonly concurrency?: number; readonly flags?: readonly string[]; readonly variables?: object } = {},
  ): Promise<WorkerProcess> {
    const { concurrency = 2, flags = [], variables = {} } = options;
    const port = await freePort();
    const args = ["worker", "--concurrency", String(concurrency), "--health-port", String(port), ...flags];
    const file = join(this.folder, `worker-${port}.log`);
    const child = this.#start(args, variables);
    child.stderr!.pipe(createWriteStream(file));
    const ended = new Promise<number | NodeJS.Signals>((resolve) =>
      child.on("exit", (code, name) => resolve(code ?? name!)),
    );
    const log = (): Promise<string> => readFile(file, "utf8");
    for (const deadline = Date.now() + 200_000; ; await delay(50)) {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null);
      if (answer?.ok === true) break;
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`the worker does not work: ${await log()}`);
    }
    const refusals = async (): Promise<Refusals> => {
      const text = await log();
      const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
      const { refused, cutOff, givenUp } = endings;
      return { refused: count(refused), cutOff: count(cutOff), givenUp: count(givenUp) };
    };
    return { pid: child.pid!, log, refusals, signal: (name) => void child.kill(name), ended };
  }

  /** Runs a command to its end. */
  run(...args: readonly string[]): Promise<Ended> {
    return this.start(...args).ended;
  }

  /** Starts a command. */
  start(...args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
    const child = this.#start(args);
    let output = "";
    let error = "";
    child.stdout!.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr!.on("data", (chunk: Buffer) => (error += chunk.toString()));
    const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, output, error })));
    return { child, ended };
  }

  #start(args: readonly string[], variables: object = {}): ChildProcess {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: this.folder,
      env: { ...process.env, ...this.variables, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.add(child);
    child.on("exit", () => this.#children.delete(child));
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGKILL");
      await new Promise((resolve) => child.on("exit", resolve));
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Tables of a shop: one that is read in several splits (one for each 4,000 rows), and some small ones. */
export async function fillShop(server: PostgresqlServer, rows: number): Promise<void> {
  await runSql(
    server.connectionString,
    `CREATE TABLE orders (id bigint PRIMARY KEY, name text NOT NULL, note text, updated_at timestamptz NOT NULL);
      CREATE INDEX ON orders (updated_at);
      INSERT INTO orders SELECT n, 'order ' || n, repeat(md5(n::text), 56), '2024-01-01'::timestamptz + n * interval '1 second'
        FROM generate_series(1, ${rows}) n;
      CREATE TABLE customers (id int PRIMARY KEY, name text);
      INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 1000) n;
      CREATE TABLE lines (a int, b int, amount numeric(10, 2), PRIMARY KEY (a, b));
      INSERT INTO lines SELECT n, n % 7, n / 100.0 FROM generate_series(1, 5000) n;
      ANALYZE;`,
  );
}

/** The rows of a table as PostgreSQL itself sums them up, by a client that is not ours. */
async function digest(server: PostgresqlServer, table: string, columns: string, where = ""): Promise<string> {
  const [row] = await runSql<{ digest: string }>(
    server.connectionString,
    `SELECT count(*) || ' ' || count(DISTINCT k) || ' ' || coalesce(sum(('x' || substr(md5(k), 1, 15))::bit(60)::bigint), 0) AS digest
      FROM (SELECT ROW(${columns})::text AS k FROM ${table} ${where}) t`,
  );
  return row!.digest;
}

const tables = {
  orders: "id, name, note, updated_at",
  customers: "id, name",
  lines: "a, b, amount",
};

/** What source and copy are, table by table: the same if the copy is right. */
export async function bothSides(
  from: PostgresqlServer,
  to: PostgresqlServer,
): Promise<{ readonly source: Record<string, string>; readonly copy: Record<string, string> }> {
  const source: Record<string, string> = {};
  const copy: Record<string, string> = {};
  for (const [table, columns] of Object.entries(tables)) {
    source[table] = await digest(from, table, columns);
    copy[table] = await digest(to, `copy.${table}`, columns, "WHERE NOT _headwaters_deleted");
  }
  return { source, copy };
}

/** Waits until some orders have arrived. */
export async function underWay(to: PostgresqlServer): Promise<void> {
  for (;;) {
    const [there] = await runSql<{ there: boolean }>(
      to.connectionString,
      "SELECT to_regclass('copy.orders') IS NOT NULL AS there",
    );
    if (there!.there) {
      const [copied] = await runSql<{ n: string }>(to.connectionString, "SELECT count(*) AS n FROM copy.orders");
      if (Number(copied!.n) > 1_000) return;
    }
    await delay(100);
  }
}

/** Expects that a sync ends well, and that the copy is then as the source. */
export async function expectWhole(ended: Promise<Ended>, from: PostgresqlServer, to: PostgresqlServer): Promise<void> {
  const { code, error, output } = await ended;
  expect(code, error + output).toBe(0);
  const { source, copy } = await bothSides(from, to);
  expect(copy).toEqual(source);
}
