import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { launchPostgresql, type LocalPostgresql } from "../src/servers/postgresql.ts";
import { measure, type Measured, type Program } from "./measure.ts";
import { cacheFolder } from "./cache.ts";
import { machine, mebibytes, printTable, seconds, spread, summarize, type Summary } from "./report.ts";
import { createTable, type Origin, startOrigin, table, touch } from "./table.ts";

const help = `tsx bench/postgresql.ts [options], once it is built (npm run build)

From one PostgreSQL into another, whole processes, in turns: Headwaters, and COPY TO | COPY FROM through two psql. What
psql fills has no index, so that it does the least that can be done; once more with the source's primary key, which
Headwaters makes too.

  --rows N   rows of the table (1000000)
  --runs N   runs of each (5)
  --parts a,b  load: side by side; resync: syncs after the first (all)
  --help     this`;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    runs: { type: "string", default: "5" },
    parts: { type: "string", default: "load,resync" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** A way to fill a table of an empty database. */
interface Contestant {
  readonly title: string;
  /** Run in the empty database, before the clock. */
  readonly before: string;
  program(origin: Origin, target: string, folder: string): Promise<Program>;
}

const bare = createTable().replace("PRIMARY KEY", "");

const contestants: readonly Contestant[] = [
  { title: "COPY TO | COPY FROM", before: bare, program: (origin, target) => piped(origin, target, "") },
  {
    title: "COPY TO | COPY FROM, binary",
    before: bare,
    program: (origin, target) => piped(origin, target, " (FORMAT binary)"),
  },
  {
    title: "COPY TO | COPY FROM, with a primary key",
    before: createTable(),
    program: (origin, target) => piped(origin, target, ""),
  },
  { title: "Headwaters", before: "", program: headwaters },
];

let databases = 0;

if (options.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const rows = Number(options.rows);
  const parts = options.parts.split(",");
  console.log(`${machine()}\n${rows.toLocaleString("en-US")} rows of ${table} (9 columns)\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    await using origin = await startOrigin(rows);
    await using server = await launchPostgresql({ settings: { shared_buffers: "512MB", max_wal_size: "4GB" } });
    if (parts.includes("load")) await load(origin, server, rows, work);
    if (parts.includes("resync")) await resync(origin, server, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function load(origin: Origin, server: LocalPostgresql, rows: number, work: string): Promise<void> {
  const measured = contestants.map((): Measured[] => []);
  for (let round = 0; round < Number(options.runs); round++) {
    for (const [index, contestant] of contestants.entries()) {
      const target = await emptyDatabase(server);
      if (contestant.before !== "") await query(target, contestant.before);
      await query(target, "CHECKPOINT");
      measured[index]!.push(await measure(await contestant.program(origin, target, work), work));
      const counted = await query(target, `SELECT count(*) AS n FROM public.${table}`);
      if (Number(counted) !== rows) throw new Error(`${contestant.title}: ${counted} of ${rows} rows came`);
    }
  }
  const summaries = measured.map(summarize);
  printTable(
    ["into an empty database", "median", "rows/s", "× COPY | COPY", "peak memory", "spread"],
    summaries.map((summary, index) => [
      contestants[index]!.title,
      seconds(summary.milliseconds),
      Math.round((rows / summary.milliseconds) * 1000).toLocaleString("en-US"),
      (summaries[0]!.milliseconds / summary.milliseconds).toFixed(2),
      mebibytes(summary.peakBytes),
      spread(summary),
    ]),
  );
}

/** Syncs after the first one. */
async function resync(origin: Origin, server: LocalPostgresql, work: string): Promise<void> {
  const target = await emptyDatabase(server);
  const sync = async (...flags: readonly string[]): Promise<Measured> =>
    measure(await headwaters(origin, target, work, ...flags), work);
  await sync();
  const cases: readonly [string, (round: number) => Promise<Measured>][] = [
    ["nothing changed", () => sync("--deletes", "never")],
    ["nothing changed, with --sweep", () => sync("--sweep")],
    ["nothing changed, with --full", () => sync("--full")],
    [
      "1,000 rows changed",
      async (round) => {
        await touch(origin, 1_000, round + 1);
        return sync("--deletes", "never");
      },
    ],
  ];
  const shown: string[][] = [];
  for (const [what, run] of cases) {
    const measured: Measured[] = [];
    for (let round = 0; round < Number(options.runs); round++) measured.push(await run(round));
    const summary: Summary = summarize(measured);
    shown.push([what, seconds(summary.milliseconds), mebibytes(summary.peakBytes), spread(summary)]);
  }
  printTable(["a later sync by Headwaters", "median", "peak memory", "spread"], shown);
}

async function piped({ connectionString }: Origin, target: string, format: string): Promise<Program> {
  const psql = (url: string, copy: string): string => `psql --no-psqlrc --quiet -c '${copy}${format}' '${url}'`;
  const [from, to] = [psql(connectionString, `COPY ${table} TO STDOUT`), psql(target, `COPY ${table} FROM STDIN`)];
  return { command: "sh", arguments: ["-c", `${from} | ${to}`] };
}

/** `flags` go behind. */
async function headwaters(
  { host, port, user, password }: Origin,
  target: string,
  folder: string,
  ...flags: readonly string[]
): Promise<Program> {
  const configuration = { host, port, database: "postgres", user, password, schema: "public", sslmode: "disable" };
  await writeFile(join(folder, "configuration.json"), JSON.stringify(configuration));
  const where = ["--source", "yugabytedb", "--configuration", "configuration.json"];
  const to = ["--destination", `${target}?sslmode=disable`, "--tables", table, "--quiet"];
  return { command: process.execPath, arguments: [main, "sync", ...where, ...to, ...flags] };
}

/** The one before goes, so that its pages do not fill the memory of the server. */
async function emptyDatabase(server: LocalPostgresql): Promise<string> {
  await query(server.connectionString(), `DROP DATABASE IF EXISTS target_${databases} WITH (FORCE)`);
  databases += 1;
  await query(server.connectionString(), `CREATE DATABASE target_${databases}`);
  return server.connectionString(`target_${databases}`);
}

/** The first value of the first row. */
async function query(connectionString: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}
