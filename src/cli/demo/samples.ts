import type { Client } from "cassandra-driver";
import { HeadwatersError } from "../../protocol/errors.ts";
import { abortable } from "../../toolkit/abortable.ts";
import { count } from "../../toolkit/figures.ts";
import type { Session } from "../session.ts";
import { launchCassandra } from "../../servers/cassandra.ts";
import { type CqlAddress, cqlClient, parseCqlAddress } from "../../servers/cql-client.ts";
import type { Change, Scenario, ScenarioOptions } from "./scenario.ts";

/** The keyspace that the demo creates, and drops at its end. It does not touch other keyspaces. */
const keyspace = "headwaters_demo";
const table = "sample_table";
const rows = 20_000;

const changes: readonly Change[] = [
  { table, what: "inserted", rows: 500, told: "500 new rows" },
  { table, what: "updated", rows: 200, told: "200 rows renamed" },
  { table, what: "deleted", rows: 100, told: "100 rows deleted" },
];

/** The differences between the two sources: the timestamp column of their published examples, and their settings. */
interface Flavour {
  readonly cursor: "created_at" | "updated_at";
  /** Whether changing a row also sets the column. */
  readonly touched: boolean;
  source(host: string): Readonly<Record<string, unknown>>;
}

const flavours = {
  cassandra: { cursor: "created_at", touched: false, source: (host) => ({ type: "cassandra", hostname: host }) },
  scylladb: { cursor: "updated_at", touched: true, source: (host) => ({ type: "scylladb", host_1: host }) },
} as const satisfies Record<string, Flavour>;

/** Starts with the published examples' table and random rows, on the server that the user named or on our own. */
export async function startSamples(
  { signal }: Session,
  { server: named }: ScenarioOptions,
  kind: keyof typeof flavours,
): Promise<Scenario> {
  const own = named === null ? await launchCassandra({ signal }) : null;
  let client: Client | null = null;
  const flavour: Flavour = flavours[kind];
  const end = async (): Promise<void> => {
    await client?.shutdown();
    await own?.[Symbol.asyncDispose]();
  };
  try {
    const where = own === null ? parse(named!) : { host: own.host, port: own.port, username: null, password: null };
    client = await connect(where, signal);
    const { run, runAll } = running(client);
    await makeKeyspace(run, signal);
    const login = where.username === null ? {} : { username: where.username, password: where.password };
    const ids: string[] = [];
    return {
      where:
        own === null
          ? `Keyspace ${keyspace} is made on ${where.host}:${where.port}, and goes when the demo ends.`
          : `It listens on ${own.host}:${own.port} and goes when the demo ends.`,
      source: { ...flavour.source(where.host), port: where.port, ...login, keyspace },
      rows,
      changes,
      query: `SELECT split_part(name, ' ', 1) AS first_name, count(*) AS people, min(${flavour.cursor}) AS first_seen, max(${flavour.cursor}) AS last_seen
FROM ${keyspace}.${table}
WHERE NOT _headwaters_deleted
GROUP BY ALL ORDER BY people DESC LIMIT 8`,
      async fill(signal) {
        await makeTable(run, flavour, signal);
        ids.push(...(await insert(runAll, flavour, rows, Date.now() - 90 * 86_400_000, signal)));
        return `${count(rows)} rows of random people in ${keyspace}.${table}`;
      },
      async change(signal) {
        const added = await insert(runAll, flavour, changes[0]!.rows, Date.now(), signal);
        const renamed = ids.slice(0, changes[1]!.rows);
        const set = flavour.touched
          ? `name = 'Renamed Person', ${flavour.cursor} = toTimestamp(now())`
          : "name = 'Renamed Person'";
        await runAll(
          `UPDATE ${keyspace}.${table} SET ${set} WHERE id = ?`,
          renamed.map((id) => [id]),
          signal,
        );
        const gone = ids.slice(-changes[2]!.rows);
        await runAll(
          `DELETE FROM ${keyspace}.${table} WHERE id = ?`,
          gone.map((id) => [id]),
          signal,
        );
        return [added.length, renamed.length, gone.length];
      },
      async [Symbol.asyncDispose]() {
        // On the user's server the demo's keyspace is dropped. A user who stops the demo waits for this too.
        try {
          if (own === null) await run(`DROP KEYSPACE ${keyspace}`, AbortSignal.timeout(60_000));
        } finally {
          await end();
        }
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function parse(address: string): CqlAddress {
  const parsed = parseCqlAddress(address);
  if (parsed !== null) return parsed;
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    "--server must be an address such as cql://user:password@host:9042",
    {
      hint: `The demo makes a keyspace ${keyspace} there and drops it at its end.`,
    },
  );
}

async function connect(where: CqlAddress, signal: AbortSignal): Promise<Client> {
  const client = await cqlClient(where);
  try {
    await abortable(client.connect(), signal);
    return client;
  } catch (thrown) {
    await client.shutdown();
    signal.throwIfAborted();
    const at = `${where.host}:${where.port}`;
    throw new HeadwatersError("CONFIGURATION_INVALID", `--server: ${at} can't be used: ${String(thrown)}`, {
      hint: "Run headwaters check: it shows the reason step by step.",
      cause: thrown,
    });
  }
}

type Run = (statement: string, signal: AbortSignal) => Promise<void>;
type RunAll = (statement: string, values: readonly (readonly unknown[])[], signal: AbortSignal) => Promise<void>;

function running(client: Client): { readonly run: Run; readonly runAll: RunAll } {
  return {
    async run(statement, signal) {
      await abortable(client.execute(statement), signal);
    },
    async runAll(statement, values, signal) {
      const left = values.values();
      const write = async (): Promise<void> => {
        for (const row of left) await abortable(client.execute(statement, [...row], { prepare: true }), signal);
      };
      await Promise.all(Array.from({ length: 64 }, write));
    },
  };
}

/** Creates the keyspace. Throws if it exists, because it may be the user's. */
async function makeKeyspace(run: Run, signal: AbortSignal): Promise<void> {
  try {
    const replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    await run(`CREATE KEYSPACE ${keyspace} WITH replication = ${replication}`, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    throw new HeadwatersError("CONFIGURATION_INVALID", `the keyspace ${keyspace} can't be made: ${String(thrown)}`, {
      hint: `If a killed demo left it behind, run DROP KEYSPACE ${keyspace};`,
      cause: thrown,
    });
  }
}

/** Creates the table of the published example. A storage-attached index serves ranges; older servers lack it. */
async function makeTable(run: Run, { cursor }: Flavour, signal: AbortSignal): Promise<void> {
  await run(`CREATE TABLE ${keyspace}.${table} (id uuid PRIMARY KEY, name text, ${cursor} timestamp)`, signal);
  if (cursor !== "created_at") return;
  try {
    await run(`CREATE INDEX ON ${keyspace}.${table} (${cursor}) USING 'sai'`, signal);
  } catch {
    signal.throwIfAborted();
    await run(`CREATE INDEX ON ${keyspace}.${table} (${cursor})`, signal);
  }
}

const firstNames = ["Ana", "Björn", "Chidi", "Dilnoza", "Eun-ji", "Farid", "Greta", "Hugo"];
const lastNames = ["Ibarra", "Ødegård", "Okafor", "Karimova", "Kim", "Haddad", "Weiß", "Nowak"];

function any<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)]!;
}

/** Inserts rows of random people, with times from `from` until a little before now. Resolves to their ids. */
async function insert(
  runAll: RunAll,
  { cursor }: Flavour,
  count: number,
  from: number,
  signal: AbortSignal,
): Promise<string[]> {
  const until = Date.now();
  const made = Array.from({ length: count }, () => crypto.randomUUID() as string);
  const values = made.map((id) => {
    // Not in the last hours, unless `from` is, so that a sync for recent changes does not read these rows again.
    const at = from + Math.random() * Math.max(0, until - from - 6 * 3_600_000);
    return [id, `${any(firstNames)} ${any(lastNames)}`, new Date(at)];
  });
  await runAll(`INSERT INTO ${keyspace}.${table} (id, name, ${cursor}) VALUES (?, ?, ?)`, values, signal);
  return made;
}
