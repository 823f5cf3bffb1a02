/**
 * Syncs on Temporal while workers are killed and frozen, and Temporal's server is killed:
 * `npx tsx test/campaigns/cluster.ts`. Needs `npm run build` before.
 *
 *   --source postgresql   or cassandra; into PostgreSQL
 *   --rows 1000000
 *   --strikes 60          kills and freezes of workers
 *   --restarts 5          kills of Temporal's server
 *   --workers 4
 *   --seed 1              the order of strikes (when they strike, does not repeat)
 *
 * Each round syncs, is struck meanwhile, and is compared with the source by clients that are not ours; then the source is
 * changed at random. A frozen worker sleeps until its work was given to another one, and wakes: whatever it tries to commit
 * then must be refused. The exit code is 1 if a row was lost or doubled or is another, or if a sync could not be finished.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type CassandraServer, startOwnCassandra } from "../servers/cassandra.ts";
import { type OwnPostgresql, type PostgresqlServer, runSql, startOwnPostgresql } from "../servers/postgresql.ts";
import { startTemporal } from "../servers/temporal.ts";
import { heartbeatSeconds, Place, type Refusals, type WorkerProcess } from "../cluster/harness.ts";
import { type Random, seeded } from "./random.ts";

const { values: given } = parseArgs({
  options: {
    source: { type: "string", default: "postgresql" },
    rows: { type: "string", default: "1000000" },
    strikes: { type: "string", default: "60" },
    restarts: { type: "string", default: "5" },
    workers: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
  },
});
const [rows, strikes, restarts, workers] = [given.rows, given.strikes, given.restarts, given.workers].map(Number) as [
  number,
  number,
  number,
  number,
];
const random = seeded(Number(given.seed));

function say(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

/** A table `events` of `id` and `note`. */
interface CampaignSource extends AsyncDisposable {
  readonly settings: PostgresqlServer | { readonly type: string };
  /** All rows by their ids. */
  all(): Promise<ReadonlyMap<number, string>>;
  change(random: Random): Promise<void>;
}

async function postgresqlSource(server: OwnPostgresql): Promise<CampaignSource> {
  const database = await server.createDatabase();
  const run = (sql: string): Promise<unknown> => runSql(database.connectionString, sql);
  await run(`CREATE TABLE events (id bigint PRIMARY KEY, note text NOT NULL);
    INSERT INTO events SELECT n, 'event ' || n || repeat(' ' || md5(n::text), 3) FROM generate_series(1, ${rows}) n; ANALYZE`);
  return {
    settings: database,
    all: () => rowsOf(database, "events"),
    async change(random) {
      const part = random.below(100);
      await run(`UPDATE events SET note = note || '!' WHERE id % 100 = ${part}; DELETE FROM events WHERE id % 1000 = ${part};
        INSERT INTO events SELECT (SELECT max(id) FROM events) + n, 'more ' || n FROM generate_series(1, ${rows / 100}) n; ANALYZE`);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function cassandraSource(server: CassandraServer): Promise<CampaignSource> {
  const { host, port, keyspace } = server;
  const known = new Map<number, string>();
  const write = async (added: readonly (readonly [number, string])[]): Promise<void> => {
    await server.load("INSERT INTO events (id, note) VALUES (?, ?)", added);
    for (const [id, note] of added) known.set(id, note);
  };
  await server.run("CREATE TABLE events (id int PRIMARY KEY, note text)");
  await write(Array.from({ length: rows }, (_, id) => [id, `event ${id}`]));
  return {
    settings: { type: "cassandra", ...{ hostname: host, port, keyspace } },
    // What the driver has written: each statement was acknowledged.
    all: async () => known,
    async change(random) {
      const part = random.below(100);
      await write([...known.keys()].filter((id) => id % 100 === part).map((id) => [id, `event ${id} again`]));
      const gone = [...known.keys()].filter((id) => id % 1_000 === part);
      await server.runAll(
        "DELETE FROM events WHERE id = ?",
        gone.map((id) => [id]),
      );
      for (const id of gone) known.delete(id);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function rowsOf({ connectionString }: PostgresqlServer, table: string): Promise<Map<number, string>> {
  const found = await runSql<{ id: string; note: string }>(connectionString, `SELECT id, note FROM ${table}`);
  const all = new Map(found.map(({ id, note }) => [Number(id), note] as const));
  if (all.size !== found.length) wrong.doubled += found.length - all.size;
  return all;
}

const wrong = { lost: 0, doubled: 0, other: 0 };
const seen = { kills: 0, freezes: 0, restarts: 0, rounds: 0, syncs: 0 };
/** Also those that were killed: their logs stay. */
const everyWorker: WorkerProcess[] = [];

/** What became of attempts that others had taken over, in all workers. */
async function refusals(): Promise<Refusals> {
  const sum = { refused: 0, cutOff: 0, givenUp: 0 };
  for (const worker of everyWorker) {
    const found = await worker.refusals();
    for (const way of ["refused", "cutOff", "givenUp"] as const) sum[way] += found[way];
  }
  return sum;
}

async function compare(source: CampaignSource, to: PostgresqlServer): Promise<void> {
  const there = await source.all();
  const copy = await rowsOf(to, "copy.events WHERE NOT _headwaters_deleted");
  for (const [id, note] of there) {
    const copied = copy.get(id);
    if (copied === undefined) wrong.lost += 1;
    else if (copied !== note) wrong.other += 1;
  }
  for (const id of copy.keys()) if (!there.has(id)) wrong.doubled += 1;
}

/** Freezes a worker until its work is another's. */
async function freeze(worker: WorkerProcess): Promise<void> {
  worker.signal("SIGSTOP");
  await delay((heartbeatSeconds + 1 + random.below(4)) * 1_000);
  worker.signal("SIGCONT");
}

await using temporal = await startTemporal();
await using server = await startOwnPostgresql();
const to = await server.createDatabase();
await using source =
  given.source === "cassandra" ? await cassandraSource(await startOwnCassandra()) : await postgresqlSource(server);
await using place = await Place.make(temporal, source.settings, to, {
  // A full pass takes two minutes; of few rows, which are few splits, longer.
  ...{ parallel: workers * 2, maxRowsPerSecond: Math.ceil(rows / 120), commitInterval: "1s" },
});
const flags = ["--log-level", "debug"];
const team: WorkerProcess[] = [];
for (let count = 0; count < workers; count += 1) team.push(await startWorker());
say(`${given.source}, ${rows} rows, ${workers} workers`);

async function startWorker(): Promise<WorkerProcess> {
  const worker = await place.worker({ flags });
  everyWorker.push(worker);
  return worker;
}

/** Strikes until `over`. */
async function strike(over: AbortSignal): Promise<void> {
  const freezing: Promise<void>[] = [];
  while (!over.aborted && seen.kills + seen.freezes < strikes) {
    await delay(1_000 + random.below(4_000));
    if (over.aborted) break;
    const share = (seen.restarts + 1) / (restarts + 1);
    if (seen.restarts < restarts && seen.kills + seen.freezes >= share * strikes) {
      seen.restarts += 1;
      await temporal.restart!();
      continue;
    }
    const at = random.below(team.length);
    if (random.below(2) === 0) {
      seen.kills += 1;
      team[at]!.signal("SIGKILL");
      team[at] = await startWorker();
    } else {
      seen.freezes += 1;
      freezing.push(freeze(team[at]!));
    }
  }
  await Promise.all(freezing);
}

let unfinished = 0;
while (seen.kills + seen.freezes < strikes && unfinished === 0) {
  const over = new AbortController();
  const striking = strike(over.signal);
  const how = seen.rounds % 2 === 0 ? "--full" : "--sweep";
  for (let tries = 1; ; tries += 1) {
    seen.syncs += 1;
    const { code, error } = await place.run("sync", "--on", "temporal", how);
    if (code === 0) break;
    say(`  the sync ended with ${code}: ${error.trim().split("\n").slice(-3).join(" | ")}`);
    if (code !== 3 || tries === 10) {
      unfinished += 1;
      break;
    }
  }
  over.abort();
  await striking;
  seen.rounds += 1;
  if (unfinished === 0) await compare(source, to);
  say(`${JSON.stringify({ ...seen, ...wrong, ...(await refusals()) })}`);
  await source.change(random);
}
process.exitCode = wrong.lost + wrong.doubled + wrong.other + unfinished === 0 ? 0 : 1;
