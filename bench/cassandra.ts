import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { mavenFolder } from "../src/servers/maven.ts";
import { measure, type Measured, type Program } from "./measure.ts";
import { machine, mebibytes, median, printTable, seconds, spread, summarize } from "./report.ts";
import { keyspace, type Origin, startOrigin, table } from "./cassandra-table.ts";

const help = `tsx bench/cassandra.ts [options], once it is built (npm run build)

Side by side on one table of one Cassandra 5.0, whole processes, in turns.

  --rows N    rows of the table (1000000)
  --runs N    runs of each (3)
  --parts a,b load: side by side; resync: syncs after the first, each way of seeing changes; memory: the peak with
              5 × the rows (all)
  --help      this`;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    runs: { type: "string", default: "3" },
    parts: { type: "string", default: "load,resync,memory" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const dsbulkVersion = "1.10.0";

if (options.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const rows = Number(options.rows);
  const parts = options.parts.split(",");
  console.log(`${machine()}\n${rows.toLocaleString("en-US")} rows of ${keyspace}.${table} (6 columns)\n`);
  const work = await mkdtemp(join(tmpdir(), "headwaters-bench-"));
  try {
    if (parts.includes("load") || parts.includes("resync")) {
      await using origin = await startOrigin(rows);
      if (parts.includes("load")) await load(origin, rows, work);
      if (parts.includes("resync")) await resync(origin, work);
    }
    if (parts.includes("memory")) await memory(rows * 5, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Contestant {
  readonly title: string;
  program(origin: Origin, folder: string): Promise<Program>;
  /** Rows that came to `folder`. */
  count(folder: string, measured: Measured): Promise<number>;
  /** Rows in a second, by its own account. */
  own?(measured: Measured): number;
}

async function contestants(): Promise<readonly Contestant[]> {
  const jars = await mavenFolder(
    `dsbulk-${dsbulkVersion}`,
    ["runner", "workflow-unload", "connectors-csv", "codecs-text", "executor-reactor", "batcher-reactor"].map(
      (name) => `com.datastax.oss:dsbulk-${name}:${dsbulkVersion}`,
    ),
  );
  const tsx = join(dirname(createRequire(import.meta.url).resolve("tsx/package.json")), "dist", "cli.mjs");
  const peer = (name: string): string => fileURLToPath(new URL(`peers/${name}`, import.meta.url));
  const copied = (folder: string): Promise<number> => countDuckdb(folder, `${keyspace}.${table}`);
  return [
    {
      title: "Headwaters into DuckDB",
      program: (origin, folder) => sync(origin, folder, { cursor_column: "updated_at" }),
      count: copied,
    },
    {
      title: "Headwaters, with write times",
      program: (origin, folder) => sync(origin, folder, { changes: "writetime" }),
      count: copied,
    },
    {
      title: `dsbulk ${dsbulkVersion} unload to CSV`,
      program: async ({ host, port }) => ({
        command: "java",
        arguments: [
          ...["-cp", join(jars, "*"), "com.datastax.oss.dsbulk.runner.DataStaxBulkLoader", "unload"],
          ...["-h", host, "-port", String(port), "-k", keyspace!, "-t", table!, "-url", "out"],
        ],
      }),
      count: countCsv,
      own: ({ said }) =>
        Number([...said.matchAll(/^\s*[\d,]+ \|\s+\d+ \|\s+([\d,]+) \|/gm)].at(-1)?.[1]?.replaceAll(",", "")),
    },
    {
      title: "the driver, page 100, row by row into DuckDB",
      program: async ({ host, port }) => ({
        command: process.execPath,
        arguments: [tsx, peer("read-cassandra.ts"), host, String(port), keyspace!, table!, "out.duckdb"],
      }),
      count: (folder) => countDuckdb(folder, table!),
    },
    {
      title: "pages asked for and thrown away",
      program: async ({ host, port }) => ({
        command: process.execPath,
        arguments: [tsx, peer("skip-cassandra.ts"), host, String(port), keyspace!, table!],
      }),
      count: async (_, { said }) => Number(/(\d+) rows,/.exec(said)?.[1]),
      own: ({ said }) => Number(/(\d+) rows\/s/.exec(said)?.[1]),
    },
  ];
}

async function sync(
  { host, port }: Origin,
  folder: string,
  settings: Readonly<Record<string, unknown>>,
  ...flags: readonly string[]
): Promise<Program> {
  const configuration = { hostname: host, port: String(port), keyspace, ...settings };
  await writeFile(join(folder, "configuration.json"), JSON.stringify(configuration));
  const where = [
    "--source",
    "cassandra",
    "--configuration",
    "configuration.json",
    "--destination",
    "duckdb:out.duckdb",
  ];
  return { command: process.execPath, arguments: [main, "sync", ...where, "--quiet", ...flags] };
}

/** In turns, so that what else the machine does, and a server that grows warm, falls on everyone alike. */
async function load(origin: Origin, rows: number, work: string): Promise<void> {
  const all = await contestants();
  const runs = all.map((): Measured[] => []);
  // The first round warms the server up, and does not count.
  for (let round = 0; round <= Number(options.runs); round++) {
    for (const [index, contestant] of all.entries()) {
      const folder = await mkdtemp(join(work, "load-"));
      const measured = await measure(await contestant.program(origin, folder), folder);
      const counted = await contestant.count(folder, measured);
      if (counted !== rows) throw new Error(`${contestant.title}: ${counted} of ${rows} rows came`);
      if (round > 0) runs[index]!.push(measured);
      await rm(folder, { recursive: true, force: true });
    }
  }
  const rates = all.map(({ own }, index) => {
    const summary = summarize(runs[index]!);
    const told = own === undefined ? null : median(runs[index]!.map(own));
    return { summary, told, rate: (rows / summary.milliseconds) * 1000 };
  });
  const ours = rates[0]!.rate;
  printTable(
    ["into an empty place", "median", "rows/s", "by its own account", "ours is × that", "peak memory", "spread"],
    all.map(({ title }, index) => {
      const { summary, told, rate } = rates[index]!;
      const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
      return [
        title,
        seconds(summary.milliseconds),
        whole(rate),
        told === null ? "–" : whole(told),
        (ours / (told ?? rate)).toFixed(2),
        mebibytes(summary.peakBytes),
        spread(summary),
      ];
    }),
  );
}

/** Syncs after the first one, by each way of seeing changes. */
async function resync(origin: Origin, work: string): Promise<void> {
  const ways: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
    ["cursor, by its index", { cursor_column: "updated_at" }, ["--deletes", "never"]],
    ["cursor, by ALLOW FILTERING or index, with a sweep", { cursor_column: "updated_at" }, ["--sweep"]],
    ["sweep over write times", { changes: "writetime" }, []],
    ["full read", { changes: "full" }, []],
  ];
  const shown: string[][] = [];
  for (const [way, settings, flags] of ways) {
    const folder = await mkdtemp(join(work, "resync-"));
    await measure(await sync(origin, folder, settings), folder);
    const again = async (): Promise<Measured> => measure(await sync(origin, folder, settings, ...flags), folder);
    const unchanged: Measured[] = [];
    for (let run = 0; run < Number(options.runs); run++) unchanged.push(await again());
    await origin.touch(1_000);
    const changed = await again();
    const summary = summarize(unchanged);
    shown.push([way, seconds(summary.milliseconds), seconds(changed.milliseconds), mebibytes(summary.peakBytes)]);
    await rm(folder, { recursive: true, force: true });
  }
  printTable(["a later sync by Headwaters", "nothing changed", "1,000 rows changed", "peak memory"], shown);
}

/** Does memory grow with the table? */
async function memory(rows: number, work: string): Promise<void> {
  await using origin = await startOrigin(rows);
  const folder = await mkdtemp(join(work, "memory-"));
  const { milliseconds, peakBytes } = await measure(
    await sync(origin, folder, { cursor_column: "updated_at" }),
    folder,
  );
  printTable(
    ["rows", "first sync", "peak memory"],
    [[rows.toLocaleString("en-US"), seconds(milliseconds), mebibytes(peakBytes)]],
  );
}

async function countDuckdb(folder: string, name: string): Promise<number> {
  const instance = await DuckDBInstance.create(join(folder, "out.duckdb"), { access_mode: "READ_ONLY" });
  const connection = await instance.connect();
  try {
    const [row] = (await connection.runAndReadAll(`SELECT count(*) FROM ${name}`)).getRows();
    return Number(row![0]);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Lines of all files, without their titles. */
async function countCsv(folder: string): Promise<number> {
  const out = join(folder, "out");
  await mkdir(out, { recursive: true });
  let lines = 0;
  for (const name of await readdir(out)) {
    const bytes = await readFile(join(out, name));
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1;
    lines -= 1;
  }
  return lines;
}
