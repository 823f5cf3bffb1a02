import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Python, pythonPackages } from "../src/servers/python.ts";
import type { Program } from "./measure.ts";
import { cacheFolder } from "./cache.ts";
import { type Origin, table } from "./table.ts";

/** A way to get a table out of PostgreSQL, ready to run. */
export interface Contestant {
  /** With the version that runs. */
  readonly title: string;
  /** The program that loads the table, from nothing, into files of `folder`. */
  load(origin: Origin, folder: string): Program | Promise<Program>;
  /** How many rows have come to `folder`: a contestant that loses some does not count. */
  count(folder: string): Promise<number>;
}

export interface ContestantEntry {
  /** A tool that users take instead of Headwaters: slower ones run fewer times. */
  readonly peer: boolean;
  readonly what: string;
  /** Throws where it is not to be had on this machine. */
  prepare(): Promise<Contestant>;
}

/** By the names that `--only` takes. */
export const contestants: Readonly<Record<string, ContestantEntry>> = {
  headwaters: { peer: false, what: "Headwaters into DuckDB", prepare: headwaters },
  psql: { peer: false, what: "psql \\copy (SELECT …) TO a CSV file", prepare: psql },
  duckdb: { peer: false, what: "DuckDB's postgres extension into DuckDB", prepare: duckdbExtension },
  "dlt-pyarrow": { peer: true, what: "dlt into DuckDB, pyarrow backend", prepare: () => dlt("pyarrow") },
  "dlt-connectorx": { peer: true, what: "dlt into DuckDB, connectorx backend", prepare: () => dlt("connectorx") },
  sling: { peer: true, what: "sling to a CSV file", prepare: sling },
  ingestr: { peer: true, what: "ingestr into DuckDB", prepare: ingestr },
};

const peers = fileURLToPath(new URL("peers", import.meta.url));
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** The command line of a Headwaters sync; `flags` go behind. */
export async function headwatersSync(origin: Origin, folder: string, ...flags: readonly string[]): Promise<Program> {
  const { host, port, user, password } = origin;
  const configuration = { host, port, database: "postgres", user, password, schema: "public", sslmode: "disable" };
  await writeFile(join(folder, "configuration.json"), JSON.stringify(configuration));
  const where = [
    "--source",
    "yugabytedb",
    "--configuration",
    "configuration.json",
    "--destination",
    "duckdb:out.duckdb",
  ];
  return { command: process.execPath, arguments: [main, "sync", ...where, "--tables", table, "--quiet", ...flags] };
}

async function headwaters(): Promise<Contestant> {
  const python = await pythonPackages(...duckdbRequirements);
  const version = await output(process.execPath, main, "--version");
  return {
    title: `Headwaters ${version}`,
    load: headwatersSync,
    count: (folder) => countDuckdb(python, folder),
  };
}

async function psql(): Promise<Contestant> {
  return {
    title: `psql \\copy to CSV ${/[\d.]+/.exec(await output("psql", "--version"))?.[0]}`,
    load: ({ connectionString }) => ({
      command: "psql",
      arguments: ["--no-psqlrc", "-c", `\\copy (SELECT * FROM ${table}) TO out.csv (FORMAT csv)`, connectionString],
    }),
    count: (folder) => countLines(join(folder, "out.csv")),
  };
}

const duckdbRequirements = ["duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"];

async function duckdbExtension(): Promise<Contestant> {
  const python = await pythonPackages(...duckdbRequirements);
  return {
    title: "DuckDB's postgres extension 1.5.5",
    load: ({ connectionString }) => ({
      command: python.command,
      environment: python.environment,
      arguments: [join(peers, "load_with_extension.py"), connectionString, table, "out.duckdb"],
    }),
    count: (folder) => countDuckdb(python, folder),
  };
}

async function dlt(backend: "pyarrow" | "connectorx"): Promise<Contestant> {
  const requirements = [
    "dlt[duckdb]==1.31.0",
    "duckdb==1.5.5",
    "pyarrow",
    "connectorx",
    "sqlalchemy",
    "psycopg2-binary",
    "pandas",
  ];
  const python = await pythonPackages(...requirements);
  return {
    title: `dlt 1.31.0 (${backend})`,
    load: ({ connectionString }, folder) => ({
      command: python.command,
      arguments: [join(peers, "load_with_dlt.py"), connectionString, table, "out.duckdb", backend, folder],
      environment: { ...python.environment, RUNTIME__DLTHUB_TELEMETRY: "false" },
    }),
    count: (folder) => countDuckdb(python, folder),
  };
}

/** The package `sling` fetches its program from elsewhere; these carry it, up to this version. */
const slingPackages: Readonly<Record<string, string>> = {
  "linux-x64": "sling-linux-amd64==1.4.11",
  "linux-arm64": "sling-linux-arm64==1.4.11",
};

async function sling(): Promise<Contestant> {
  const requirement = slingPackages[`${process.platform}-${process.arch}`];
  if (requirement === undefined) throw new Error("no package carries it for this machine");
  const python = await pythonPackages(requirement);
  const find =
    "import importlib.metadata as m, sys; print(next(f.locate() for f in m.files(sys.argv[1]) if f.name == sys.argv[1]))";
  const program = (await python.run("-c", find, requirement.split("==")[0]!)).trim();
  const home = join(cacheFolder, "sling-home");
  await mkdir(home, { recursive: true });
  return {
    title: "sling 1.4.11 to CSV",
    load: ({ connectionString }, folder) => ({
      command: program,
      arguments: ["run", "--src-conn", `${connectionString}?sslmode=disable`, "--src-stream", `public.${table}`].concat(
        ["--tgt-object", `file://${folder}/out.csv`],
      ),
      environment: { SLING_DISABLE_TELEMETRY: "TRUE", SLING_HOME_DIR: home },
    }),
    count: async (folder) => (await countLines(join(folder, "out.csv"))) - 1,
  };
}

/** From 1.0 on its package fetches a program from elsewhere; this is the last that carries everything. */
async function ingestr(): Promise<Contestant> {
  const python = await pythonPackages("ingestr==0.13.94");
  return {
    title: "ingestr 0.13.94",
    load: ({ connectionString }, folder) => ({
      command: join(python.folder, "bin", "ingestr"),
      arguments: [
        ...[
          "ingest",
          "--yes",
          "--progress",
          "log",
          "--source-uri",
          connectionString,
          "--source-table",
          `public.${table}`,
        ],
        ...["--dest-uri", `duckdb:///${folder}/out.duckdb`, "--dest-table", `public.${table}`],
      ],
      environment: { ...python.environment, INGESTR_DISABLE_TELEMETRY: "true" },
    }),
    count: (folder) => countDuckdb(python, folder),
  };
}

async function countDuckdb(python: Python, folder: string): Promise<number> {
  return Number(await python.run(join(peers, "count_rows.py"), join(folder, "out.duckdb"), table));
}

async function countLines(file: string): Promise<number> {
  let lines = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
  }
  return lines;
}

/** What a program prints. */
async function output(command: string, ...given: readonly string[]): Promise<string> {
  return (await promisify(execFile)(command, given)).stdout.trim();
}
