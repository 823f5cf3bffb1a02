import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { collectionTypes, fillLarge, startKeys, touchKeys } from "./keys.ts";
import { measure, type Measured, type Program } from "./measure.ts";
import { type Python, pythonPackages } from "../src/servers/python.ts";
import { cacheFolder } from "./cache.ts";
import { machine, mebibytes, printTable, seconds, spread, summarize } from "./report.ts";

const help = `tsx bench/dragonflydb.ts [options], once it is built (npm run build)

Side by side on one Valkey, whole processes, in turns: Headwaters and a pipelined client in Python, into DuckDB.

  --keys N         keys to load (200000)
  --runs N         runs of each (3)
  --parts a,b      load: side by side; resync: syncs after the first; memory: ten times the keys; large: collections of
                   a million members (all)
  --help           this`;

const { values: options } = parseArgs({
  options: {
    keys: { type: "string", default: "200000" },
    runs: { type: "string", default: "3" },
    parts: { type: "string", default: "load,resync,memory,large" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const peer = fileURLToPath(new URL("peers/read_redis.py", import.meta.url));
const counting = fileURLToPath(new URL("peers/count_rows.py", import.meta.url));
const file = "out.duckdb";
const table = "dragonfly_data";

if (options.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const [keys, runs] = [Number(options.keys), Number(options.runs)];
  const parts = options.parts.split(",");
  console.log(`${machine()}\n${keys.toLocaleString("en-US")} mixed keys\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    if (parts.includes("load") || parts.includes("resync")) {
      await using server = await startKeys(keys);
      if (parts.includes("load")) await load(server.port, keys, runs, work);
      if (parts.includes("resync")) await resync(server, keys, runs, work);
    }
    if (parts.includes("memory")) await memory(keys * 10, work);
    if (parts.includes("large")) await large(work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function headwaters(port: number, folder: string): Promise<Program> {
  await writeFile(join(folder, "configuration.json"), JSON.stringify({ host: "127.0.0.1", port: String(port) }));
  const where = ["--source", "dragonflydb", "--configuration", "configuration.json", "--destination", `duckdb:${file}`];
  return { command: process.execPath, arguments: [main, "sync", ...where, "--quiet", "--deletes", "each_sync"] };
}

/** In turns, so that what else the machine does falls on everyone alike. */
async function load(port: number, keys: number, runs: number, work: string): Promise<void> {
  const requirements = ["redis==7.1.0", "hiredis==3.3.0", "duckdb==1.5.5", "pyarrow"];
  const withParser = await pythonPackages(...requirements);
  const without = await pythonPackages(...requirements.filter((name) => !name.startsWith("hiredis")));
  const read = ({ command, environment }: Python): Program => ({
    command,
    environment,
    arguments: [peer, String(port), file],
  });
  const contestants: readonly [string, (folder: string) => Promise<Program>][] = [
    ["Headwaters", (folder) => headwaters(port, folder)],
    ["redis-py, pipelined", async () => read(without)],
    ["redis-py with hiredis, pipelined", async () => read(withParser)],
  ];
  const measured = contestants.map((): Measured[] => []);
  for (let round = 0; round < runs; round++) {
    for (const [index, [title, program]] of contestants.entries()) {
      const folder = await mkdtemp(join(work, "load-"));
      measured[index]!.push(await measure(await program(folder), folder));
      const counted = Number(await without.run(counting, join(folder, file), table));
      if (counted !== keys) throw new Error(`${title}: ${counted} of ${keys} keys came`);
      await rm(folder, { recursive: true, force: true });
    }
  }
  const summaries = measured.map(summarize);
  printTable(
    ["into an empty file", "median", "keys/s", "× redis-py", "peak memory", "spread"],
    contestants.map(([title], index) => {
      const { milliseconds, peakBytes } = summaries[index]!;
      const rate = Math.round((keys / milliseconds) * 1_000).toLocaleString("en-US");
      return [
        title,
        seconds(milliseconds),
        rate,
        (summaries[1]!.milliseconds / milliseconds).toFixed(1),
        mebibytes(peakBytes),
        spread(summaries[index]!),
      ];
    }),
  );
}

/** Syncs after the first one. */
async function resync(
  server: Awaited<ReturnType<typeof startKeys>>,
  keys: number,
  runs: number,
  work: string,
): Promise<void> {
  const folder = await mkdtemp(join(work, "resync-"));
  const shown: string[][] = [];
  const first = await measure(await headwaters(server.port, folder), folder);
  shown.push(["the first", seconds(first.milliseconds), mebibytes(first.peakBytes), "1 run"]);
  for (const [what, before] of [
    ["nothing changed", async () => {}],
    ["10 keys changed", (round: number) => touchKeys(server, keys, 10, round)],
  ] as const) {
    const measured: Measured[] = [];
    for (let round = 0; round < runs; round++) {
      await before(round);
      measured.push(await measure(await headwaters(server.port, folder), folder));
    }
    const summary = summarize(measured);
    shown.push([what, seconds(summary.milliseconds), mebibytes(summary.peakBytes), spread(summary)]);
  }
  printTable(["syncs one after the other", "median", "peak memory", "spread"], shown);
}

/** Does memory grow with the keys, and what do checkpoints write? */
async function memory(keys: number, work: string): Promise<void> {
  await using server = await startKeys(keys);
  const folder = await mkdtemp(join(work, "memory-"));
  const shown: string[][] = [];
  for (const what of ["first sync", "nothing changed"]) {
    const { milliseconds, peakBytes } = await measure(await headwaters(server.port, folder), folder);
    const rate = Math.round((keys / milliseconds) * 1_000).toLocaleString("en-US");
    shown.push([
      what,
      seconds(milliseconds),
      rate,
      mebibytes(peakBytes),
      mebibytes((await stat(join(folder, file))).size),
    ]);
  }
  printTable([`${keys.toLocaleString("en-US")} keys`, "time", "keys/s", "peak memory", "file"], shown);
}

/** One key of a million members at a time is in memory. */
async function large(work: string): Promise<void> {
  await using server = await startKeys(0);
  const shown: string[][] = [];
  for (const types of [...collectionTypes.map((type) => [type]), collectionTypes]) {
    await fillLarge(server, types, 1_000_000);
    const folder = await mkdtemp(join(work, "large-"));
    const first = await measure(await headwaters(server.port, folder), folder);
    const second = await measure(await headwaters(server.port, folder), folder);
    shown.push([
      types.join(", "),
      ...[first, second].flatMap(({ milliseconds, peakBytes }) => [seconds(milliseconds), mebibytes(peakBytes)]),
    ]);
  }
  printTable(["of 1,000,000 members", "first sync", "peak memory", "nothing changed", "peak memory"], shown);
}
