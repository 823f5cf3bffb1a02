import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Contestant, contestants, headwatersSync } from "./contestants.ts";
import { measure, type Measured, type Program } from "./measure.ts";
import { cacheFolder } from "./cache.ts";
import { machine, mebibytes, printTable, seconds, spread, summarize, type Summary } from "./report.ts";
import { type Origin, startOrigin, table, touch } from "./table.ts";

const help = `npm run bench -- [options]

Side by side on one table of one PostgreSQL, whole processes, in turns: Headwaters and what users would take instead.

  --rows N         rows of the table (1000000)
  --runs N         runs of Headwaters, psql and DuckDB's extension (5)
  --peer-runs N    runs of the Python peers, which are slow (1)
  --only a,b       only these: ${Object.keys(contestants).join(", ")}
  --parts a,b      load: side by side; memory: Headwaters on 1 × and 4 × the rows; resync: syncs after the first
                   (all)
  --help           this`;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    runs: { type: "string", default: "5" },
    "peer-runs": { type: "string", default: "1" },
    only: { type: "string", default: Object.keys(contestants).join(",") },
    parts: { type: "string", default: "load,memory,resync" },
    help: { type: "boolean", default: false },
  },
});

if (options.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const rows = Number(options.rows);
  const parts = options.parts.split(",");
  console.log(`${machine()}\n${rows.toLocaleString("en-US")} rows of ${table} (9 columns)\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    const ready = parts.includes("load") ? await prepared() : new Map<string, Contestant>();
    {
      await using origin = await startOrigin(rows);
      if (parts.includes("load")) await load(ready, origin, rows, work);
      if (parts.includes("resync")) await resync(origin, work);
    }
    if (parts.includes("memory")) await memory(rows, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Those that are to be had; the others are named. */
async function prepared(): Promise<Map<string, Contestant>> {
  const ready = new Map<string, Contestant>();
  for (const name of options.only.split(",")) {
    const entry = contestants[name];
    if (entry === undefined) throw new Error(`--only knows no ${name}, but ${Object.keys(contestants).join(", ")}`);
    try {
      ready.set(name, await entry.prepare());
    } catch (error) {
      console.log(`Not here: ${entry.what} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  return ready;
}

/** In turns, so that what else the machine does falls on everyone alike. */
async function load(ready: Map<string, Contestant>, origin: Origin, rows: number, work: string): Promise<void> {
  const runs = new Map<string, Measured[]>([...ready.keys()].map((name) => [name, []]));
  const wanted = (name: string): number => Number(contestants[name]!.peer ? options["peer-runs"] : options.runs);
  for (let round = 0; [...ready.keys()].some((name) => wanted(name) > round); round++) {
    for (const [name, contestant] of ready) {
      if (wanted(name) <= round) continue;
      try {
        runs.get(name)!.push(await loadOnce(contestant, origin, rows, work));
      } catch (error) {
        console.log(`Out: ${contestants[name]!.what} (${error instanceof Error ? error.message : String(error)})`);
        ready.delete(name);
      }
    }
  }
  const summaries = new Map([...ready.keys()].map((name) => [name, summarize(runs.get(name)!)]));
  const baseline = summaries.get("psql");
  printTable(
    ["into an empty place", "median", "rows/s", "× psql's rate", "peak memory", "spread"],
    [...summaries].map(([name, summary]) => [
      ready.get(name)!.title,
      seconds(summary.milliseconds),
      Math.round((rows / summary.milliseconds) * 1000).toLocaleString("en-US"),
      baseline === undefined ? "–" : (baseline.milliseconds / summary.milliseconds).toFixed(2),
      mebibytes(summary.peakBytes),
      spread(summary),
    ]),
  );
  versusPeers(summaries, ready);
}

function versusPeers(summaries: ReadonlyMap<string, Summary>, ready: ReadonlyMap<string, Contestant>): void {
  const ours = summaries.get("headwaters");
  const others = [...summaries].filter(([name]) => contestants[name]!.peer);
  const [best] = others.sort(([, a], [, b]) => a.milliseconds - b.milliseconds);
  if (ours === undefined || best === undefined) return;
  const ratio = best[1].milliseconds / ours.milliseconds;
  console.log(`Headwaters has ${ratio.toFixed(1)} × the rate of the best Python peer, ${ready.get(best[0])!.title}.\n`);
}

async function loadOnce(contestant: Contestant, origin: Origin, rows: number, work: string): Promise<Measured> {
  const folder = await mkdtemp(join(work, "load-"));
  try {
    const measured = await measure(await contestant.load(origin, folder), folder);
    const counted = await contestant.count(folder);
    if (counted !== rows) throw new Error(`${counted} of ${rows} rows came`);
    return measured;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Syncs after the first one: what a user waits for each time. */
async function resync(origin: Origin, work: string): Promise<void> {
  const folder = await mkdtemp(join(work, "resync-"));
  await measure(await headwatersSync(origin, folder), folder);
  const start = await repeat(Number(options.runs), folder, () => ({
    command: process.execPath,
    arguments: ["-e", ""],
  }));
  const cases: readonly [string, (round: number) => Promise<Program>][] = [
    ["nothing changed", () => headwatersSync(origin, folder, "--deletes", "never")],
    ["nothing changed, with --sweep", () => headwatersSync(origin, folder, "--sweep")],
    [
      "1,000 rows changed",
      async (round) => {
        await touch(origin, 1_000, round + 1);
        return headwatersSync(origin, folder, "--deletes", "never");
      },
    ],
    [
      "1,000 rows changed, with --sweep",
      async (round) => {
        await touch(origin, 1_000, round + 101);
        return headwatersSync(origin, folder, "--sweep");
      },
    ],
  ];
  const rows: string[][] = [];
  for (const [what, program] of cases) {
    const summary = await repeat(Number(options.runs), folder, program);
    rows.push([what, seconds(summary.milliseconds), mebibytes(summary.peakBytes), spread(summary)]);
  }
  rows.push(["(an empty Node process)", seconds(start.milliseconds), mebibytes(start.peakBytes), spread(start)]);
  printTable(["a later sync by Headwaters", "median", "peak memory", "spread"], rows);
}

async function repeat(
  runs: number,
  folder: string,
  program: (round: number) => Program | Promise<Program>,
): Promise<Summary> {
  const measured: Measured[] = [];
  for (let round = 0; round < runs; round++) measured.push(await measure(await program(round), folder));
  return summarize(measured);
}

/** Does memory grow with the table? */
async function memory(rows: number, work: string): Promise<void> {
  const shown: string[][] = [];
  for (const size of [rows, 4 * rows]) {
    await using origin = await startOrigin(size);
    const folder = await mkdtemp(join(work, "memory-"));
    const { milliseconds, peakBytes } = await measure(await headwatersSync(origin, folder), folder);
    const again = await measure(await headwatersSync(origin, folder, "--sweep"), folder);
    shown.push([
      size.toLocaleString("en-US"),
      seconds(milliseconds),
      mebibytes(peakBytes),
      seconds(again.milliseconds),
      mebibytes(again.peakBytes),
    ]);
    await rm(folder, { recursive: true, force: true });
  }
  printTable(["rows", "first sync", "peak memory", "--sweep", "peak memory"], shown);
}
