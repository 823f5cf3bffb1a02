import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { headwatersSync } from "./contestants.ts";
import { type Measured, measure, type Program } from "./measure.ts";
import { cacheFolder } from "./cache.ts";
import { machine, mebibytes, printTable, seconds, spread, summarize } from "./report.ts";
import { startOrigin } from "./table.ts";

const help = `npx tsx bench/start.ts [options]

How long Headwaters takes to start, as it is built and with every package left to npm: whole processes, in turns.

  --runs N    runs of each (10)
  --help      this`;

const { values: options } = parseArgs({
  options: { runs: { type: "string", default: "10" }, help: { type: "boolean", default: false } },
});

const root = fileURLToPath(new URL("..", import.meta.url));

if (options.help) console.log(help);
else await bench(Number(options.runs));

async function bench(runs: number): Promise<void> {
  console.log(`${machine()}\n`);
  await using origin = await startOrigin(1_000);
  // Below the project: packages are found as those of `dist` are.
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    const sync = await headwatersSync(origin, work, "--deletes", "never");
    const mains = { bundled: sync.arguments[0]!, "packages by npm": await buildPlain(work) };
    await measure(sync, work);
    for (const [what, given] of [
      ["--version", ["--version"]],
      ["a sync that finds nothing new", sync.arguments.slice(1)],
    ] as const) {
      const programs = Object.entries(mains).map(([title, main]) => [title, node(main, ...given)] as const);
      await inTurns(what, runs, [["(an empty Node process)", node("-e", "")], ...programs], work);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** `dist` with no package in it. */
async function buildPlain(folder: string): Promise<string> {
  await copyFile(join(root, "package.json"), join(folder, "package.json"));
  const [outbase, outdir] = [join(root, "src"), join(folder, "dist")];
  await build({
    entryPoints: [join(outbase, "cli", "main.ts")],
    ...{ outbase, outdir, chunkNames: "chunks/[name]-[hash]" },
    ...{ bundle: true, splitting: true, packages: "external", platform: "node", target: "node20", format: "esm" },
  });
  return join(outdir, "cli", "main.js");
}

function node(...given: readonly string[]): Program {
  return { command: process.execPath, arguments: given };
}

/** What else the machine does falls on all alike. The first round is not counted: files come from the disk. */
async function inTurns(
  what: string,
  runs: number,
  programs: readonly (readonly [title: string, program: Program])[],
  folder: string,
): Promise<void> {
  const measured = new Map<string, Measured[]>(programs.map(([title]) => [title, []]));
  for (let round = 0; round <= runs; round++) {
    for (const [title, program] of programs) {
      const one = await measure(program, folder);
      if (round > 0) measured.get(title)!.push(one);
    }
  }
  const rows = [...measured].map(([title, all]) => {
    const summary = summarize(all);
    return [title, seconds(summary.milliseconds), mebibytes(summary.peakBytes), spread(summary)];
  });
  printTable([what, "median", "peak memory", "spread"], rows);
}
