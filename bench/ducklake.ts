import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launchPostgresql, type LocalPostgresql } from "../src/servers/postgresql.ts";
import { extensionsFolder } from "../src/servers/duckdb-extensions.ts";
import { measure, type Measured } from "./measure.ts";
import { cacheFolder } from "./cache.ts";
import { machine, mebibytes, printTable, seconds, spread, summarize } from "./report.ts";
import { type Origin, startOrigin, table, touch } from "./table.ts";

const help = `tsx bench/ducklake.ts [options], once it is built (npm run build)

The same table of one PostgreSQL into DuckDB and into DuckLake, whole processes, in turns.

  --rows N         rows of the table (1000000)
  --runs N         runs of each (5)
  --parts a,b      load: into an empty place; resync: syncs after the first (all)
  --help           this`;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    runs: { type: "string", default: "5" },
    parts: { type: "string", default: "load,resync" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** By the names of their connections. */
const titles = {
  duckdb: "DuckDB",
  file: "DuckLake, catalog in a file",
  postgresql: "DuckLake, catalog in PostgreSQL",
} as const;
type Name = keyof typeof titles;
const names = Object.keys(titles) as readonly Name[];

if (options.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const [rows, runs] = [Number(options.rows), Number(options.runs)];
  const parts = options.parts.split(",");
  console.log(`${machine()}\n${rows.toLocaleString("en-US")} rows of ${table} (9 columns)\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    const extensions = await extensionsFolder();
    await using origin = await startOrigin(rows);
    await using catalog = await launchPostgresql();
    if (parts.includes("load")) {
      const measured = new Map<Name, Measured[]>(names.map((name) => [name, []]));
      const files = new Map<Name, number>();
      // In turns, so that what else the machine does falls on everyone alike.
      for (let run = 0; run < runs; run++) {
        const folder = await prepared(work, origin, catalog, extensions, run);
        for (const name of names) {
          measured.get(name)!.push(await synced(name, folder));
          files.set(name, await parquetFiles(join(folder, name)));
        }
        await rm(folder, { recursive: true });
      }
      report("into an empty place", measured, rows, files);
    }
    if (parts.includes("resync")) await resync(work, origin, catalog, extensions, rows, runs);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A folder with the configuration of a round. */
async function prepared(
  work: string,
  { host, port, user, password }: Origin,
  catalog: LocalPostgresql,
  extensions: string,
  round: number,
): Promise<string> {
  const folder = await mkdtemp(join(work, "round-"));
  const source = { type: "yugabytedb", host, port, user, password, database: "postgres", sslmode: "disable" };
  const lake = { type: "ducklake", extensions };
  const connections: Readonly<Record<Name, unknown>> = {
    duckdb: { source, destination: "duckdb:out.duckdb" },
    file: { source, destination: { ...lake, catalog: "out.ducklake", data: "file" } },
    postgresql: {
      source,
      destination: {
        ...lake,
        catalog: `postgresql://${catalog.user}@${catalog.host}:${catalog.port}/postgres?sslmode=disable`,
        password: catalog.password,
        catalog_schema: `lake_${process.pid}_${round}`,
        data: "postgresql",
      },
    },
  };
  await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections }), { mode: 0o600 });
  return folder;
}

function synced(name: Name, folder: string, ...flags: readonly string[]): Promise<Measured> {
  return measure({ command: process.execPath, arguments: [main, "sync", name, "--quiet", ...flags] }, folder);
}

async function parquetFiles(folder: string): Promise<number> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  return found.filter((file) => file.endsWith(".parquet")).length;
}

/** Syncs after the first: of nothing, of a thousand rows that changed, of all rows once more. */
async function resync(
  work: string,
  origin: Origin,
  catalog: LocalPostgresql,
  extensions: string,
  rows: number,
  runs: number,
): Promise<void> {
  const folder = await prepared(work, origin, catalog, extensions, runs);
  for (const name of names) await synced(name, folder);
  const kinds = [
    ["nothing changed", 0, []],
    ["1,000 rows changed", 1_000, []],
    ["all rows read again", 1_000, ["--full"]],
  ] as const;
  for (const [title, touched, flags] of kinds) {
    const measured = new Map<Name, Measured[]>(names.map((name) => [name, []]));
    const files = new Map<Name, number>();
    for (let run = 0; run < runs; run++) {
      if (touched > 0) await touch(origin, touched, run);
      for (const name of names) {
        measured.get(name)!.push(await synced(name, folder, ...flags));
        files.set(name, await parquetFiles(join(folder, name)));
      }
    }
    report(title, measured, rows, files);
  }
}

function report(
  title: string,
  measured: ReadonlyMap<Name, readonly Measured[]>,
  rows: number,
  files: ReadonlyMap<Name, number>,
): void {
  const summaries = new Map([...measured].map(([name, runs]) => [name, summarize(runs)]));
  const duckdb = summaries.get("duckdb")!;
  printTable(
    [title, "median", "rows/s", "× DuckDB's rate", "peak memory", "files", "spread"],
    [...summaries].map(([name, summary]) => [
      titles[name],
      seconds(summary.milliseconds),
      Math.round((rows / summary.milliseconds) * 1000).toLocaleString("en-US"),
      (duckdb.milliseconds / summary.milliseconds).toFixed(2),
      mebibytes(summary.peakBytes),
      name === "duckdb" ? "–" : String(files.get(name)),
      spread(summary),
    ]),
  );
}
