/**
 * `headwaters up` with many connections, killed in the middle: `npx tsx test/campaigns/service.ts`. Needs `npm run build`
 * before, and Linux.
 *
 *   --minutes 30        how long: a third is quiet, in the second one the kills strike, the last one is quiet again
 *   --connections 50    each has two small tables; one in ten goes into PostgreSQL, the others into four DuckDB files
 *   --kills 20          SIGKILL of the service, of a process of a destination, or of all at once
 *   --interval 60       seconds between two syncs of a connection
 *   --seed 1
 *
 * It prints how late runs began, the memory of service and children, how fast page and API answered, and what an independent
 * comparison of every copy and every history found. Its exit code is 1 if something was lost or doubled, a history has a gap
 * or a run that runs for ever, a schedule was not kept, memory grew, or an answer took too long.
 */
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { dueAfter, parseSchedule, type Schedule } from "../../src/service/schedule.ts";
import { runSql, startOwnPostgresql } from "../servers/postgresql.ts";
import { folderWith, sourceOf } from "../service/folder.ts";
import { Up, until } from "../service/up.ts";
import { childrenOf, figures, millions, rss } from "./measure.ts";
import { seeded } from "./random.ts";
import { compare, type Copy, histories } from "./service-copies.ts";

const { values: given } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    connections: { type: "string", default: "50" },
    kills: { type: "string", default: "20" },
    interval: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
  },
});
const span = Number(given.minutes) * 60_000;
const interval = Number(given.interval) * 1_000;
const random = seeded(Number(given.seed));

/** A run may begin so late: as a cron expression of each minute has it, and as long as others have the turn. In milliseconds. */
const mostLate = 6_000;
/** Within this time after a kill, and after its service is back, schedules are made up. */
const mendingTime = 45_000;
/** The 99th percentile of answers from what the service itself knows, in milliseconds. */
const mostAnswer = 100;
/** Memory may grow so much from the second to the last quarter of a quiet third. */
const mostGrowth = 1.15;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const troubles: string[] = [];
const trouble = (line: string): void => {
  troubles.push(line);
  say(`! ${line}`);
};

await using server = await startOwnPostgresql({ settings: { max_connections: "300" } });
await using copies = await server.createDatabase();
const { host, port, user, password } = server;
const names = Array.from({ length: Number(given.connections) }, (_, at) => `c${String(at).padStart(2, "0")}`);
await runSql(
  server.connectionString,
  names
    .map(
      (name) => `CREATE SCHEMA ${name};
    CREATE TABLE ${name}.readings (id int PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO ${name}.readings SELECT n, 'first ' || n, now() - interval '1 day' FROM generate_series(1, 500) n;
    CREATE TABLE ${name}.places (id int PRIMARY KEY, value text NOT NULL);
    INSERT INTO ${name}.places SELECT n, 'place ' || n FROM generate_series(1, 50) n;`,
    )
    .join("\n"),
);
const made: Copy[] = names.map((name, at) =>
  at % 10 === 0 ? { name, file: null } : { name, file: `copies-${at % 4}.duckdb` },
);
const cron = (at: number): boolean => at % 5 === 0 && interval === 60_000;
const schedules = new Map<string, Schedule>(
  names.map((name, at) => [name, parseSchedule(cron(at) ? "* * * * *" : `${given.interval}s`) as Schedule]),
);
const connections = Object.fromEntries(
  made.map(({ name, file }, at) => [
    name,
    {
      source: { ...sourceOf(server), schema: name, lag: "1" },
      destination:
        file === null
          ? { type: "postgresql", host, port, user, password, database: copies.database }
          : `duckdb:${file}`,
      schema: name,
      schedule: cron(at) ? "* * * * *" : `${given.interval}s`,
      freshness: "10m",
      deletes: "each_sync",
      maxDeleteFraction: 1,
    },
  ]),
);
await using folder = await folderWith({ connections });

const rssOf: { at: number; service: number; children: number; processes: number }[] = [];
const answers = new Map<string, { readonly at: number; readonly took: number }[]>();
const kills: { readonly at: number; readonly who: string; back: number }[] = [];
const over = new AbortController();
const began = Date.now();
const at = (): string => `${((Date.now() - began) / 60_000).toFixed(1)} min`;
let up = await Up.start(folder.path, ["--log-level", "warn"]);
let isUp = true;

async function write(): Promise<void> {
  while (!over.signal.aborted) {
    const name = names[random.below(names.length)]!;
    const [some, other] = [random.below(97), random.below(97)];
    await runSql(
      server.connectionString,
      `UPDATE ${name}.readings SET value = 'changed ${some}', updated_at = now() WHERE id % 97 = ${some};
       DELETE FROM ${name}.readings WHERE id % 101 = ${other};
       INSERT INTO ${name}.readings SELECT ${random.below(1 << 20)} + n, 'new', now() FROM generate_series(1, 8) n ON CONFLICT DO NOTHING;
       UPDATE ${name}.places SET value = 'moved ${some}' WHERE id % 7 = ${some % 7}`,
    );
    await wait(100);
  }
}

async function watch(): Promise<void> {
  const page = await (await up.fetch("/")).text();
  const script = /src="([^"]+\.js)"/.exec(page)![1]!.replace(/^\.?\/?/, "/");
  for (let turn = 0; !over.signal.aborted; turn++) {
    await wait(200);
    if (!isUp) continue;
    const name = names[random.below(names.length)]!;
    const run = (await up.connection(name).catch(() => null))?.lastRun?.id;
    const paths: Readonly<Record<string, string>> = {
      "the page": "/",
      "its script": script,
      "/connections": "/api/v1/connections",
      "/connections/{name}": `/api/v1/connections/${name}`,
      "/progress": `/api/v1/connections/${name}/progress`,
      "/tables": `/api/v1/connections/${name}/tables`,
      "/runs/{id}/log": `/api/v1/runs/${run}/log`,
      "/metrics": "/metrics",
      "/runs": `/api/v1/connections/${name}/runs`,
      "/schema-changes": `/api/v1/connections/${name}/schema-changes`,
    };
    const [what, path] = Object.entries(paths)[turn % Object.keys(paths).length]!;
    const asked = performance.now();
    const { pid } = up.process;
    const status = await up
      .fetch(path)
      .then(async (response) => {
        await response.arrayBuffer();
        return response.status;
      })
      .catch(() => null);
    // One that was killed meanwhile answers nothing.
    if (!isUp || up.process.pid !== pid || status === null) continue;
    if (status !== 200 && run !== undefined) trouble(`${path}: ${status}`);
    const took = performance.now() - asked;
    answers.set(what, [...(answers.get(what) ?? []), { at: Date.now(), took }]);
    if (turn % 10 !== 0) continue;
    const children = childrenOf(pid!);
    rssOf.push({
      at: Date.now(),
      service: rss(pid!),
      children: children.reduce((sum, child) => sum + rss(child), 0),
      processes: children.length,
    });
  }
}

async function kill(): Promise<void> {
  const count = Number(given.kills);
  for (let struck = 0; struck < count; struck++) {
    const due = began + span / 3 + ((struck + random.below(1_000) / 1_000) * span) / 3 / count;
    await wait(Math.max(0, due - Date.now()));
    const children = childrenOf(up.process.pid!);
    const who = (["the service", "a child", "all"] as const)[struck % 3]!;
    const one = { at: Date.now(), who, back: Infinity };
    kills.push(one);
    const child = children[random.below(Math.max(1, children.length))];
    if (who === "a child") {
      if (child !== undefined) process.kill(child, "SIGKILL");
    } else {
      isUp = false;
      if (who === "all") for (const pid of children) process.kill(pid, "SIGKILL");
      await up.stop("SIGKILL");
      await wait(random.below(3_000));
      up = await Up.start(folder.path, ["--log-level", "warn", "--port", String(up.port)]);
      isUp = true;
    }
    one.back = Date.now();
    say(`${at()}: killed ${who}, back after ${one.back - one.at} ms`);
  }
}

say(`${names.length} connections, each every ${given.interval} s, ${given.minutes} minutes, ${given.kills} kills`);
const working = [write(), watch()];
await kill();
await wait(Math.max(0, began + span - Date.now()));
over.abort();
await Promise.all(working);

// At rest: each connection has one whole sync of what stands.
const rest = Date.now();
for (const name of names)
  await until(
    `${name} is synced at rest`,
    async () => {
      const { lastRun } = await up.connection(name);
      return lastRun !== null && lastRun.outcome === "succeeded" && Date.parse(lastRun.started) > rest;
    },
    10 * interval + 120_000,
  );
say(`${at()}: every connection is synced at rest`);

const disturbed = (from: number, to: number): boolean =>
  kills.some(({ at, back }) => from < back + mendingTime && to > at);
const [late, madeUp]: [number[], number[]] = [[], []];
const outcomes = new Map<string, number>();
const whole = new Map<string, Set<string>>();
for (const name of names) {
  const all = await up.get("GET /connections/{name}/runs", { name }, "?kind=sync&limit=500");
  const runs = all.toReversed();
  whole.set(name, new Set(runs.filter(({ outcome }) => outcome === "succeeded").map(({ id }) => id)));
  const now = (await up.connection(name)).running?.id;
  if (new Set(runs.map(({ id }) => id)).size !== runs.length) trouble(`${name}: a run is there twice`);
  for (const [index, run] of runs.entries()) {
    outcomes.set(run.outcome, (outcomes.get(run.outcome) ?? 0) + 1);
    if (run.outcome === "running" && run.id !== now) trouble(`${name}: run ${run.id} runs for ever`);
    if (run.outcome === "failed" && !disturbed(Date.parse(run.started), Date.parse(run.started)))
      trouble(`${name}: failed without a kill: ${run.error?.message}`);
    const before = runs[index - 1];
    if (before === undefined) continue;
    const [started, previous] = [Date.parse(run.started), Date.parse(before.started)];
    const lateness = started - dueAfter(schedules.get(name)!, name, previous);
    (disturbed(previous, started) ? madeUp : late).push(Math.max(0, lateness));
  }
}
const asked = Date.now();
const code = await up.stop();
const ended = Date.now() - asked;
if (code !== 0 || ended > 10_000) trouble(`SIGTERM: exit ${code} after ${ended} ms`);

const found = await compare(made, folder.path, copies.connectionString, server.connectionString);
for (const line of found.wrong.slice(0, 10)) trouble(line);
const history = await histories(made, folder.path, copies.connectionString);
for (const line of history.wrong(whole)) trouble(line);

say(`\n${process.version}, seed ${given.seed}, ${at()} in all`);
say(
  `kills: ${["the service", "a child", "all"].map((who) => `${kills.filter((one) => one.who === who).length} of ${who}`).join(", ")}`,
);
say(
  `compared: ${found.rows} rows of ${found.tables} tables, ${found.lost} lost, ${found.doubled} doubled, ${found.other} with other values`,
);
say(
  `runs: ${[...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", ")}; in the destinations: ${history.runs}`,
);
say(`late, ms: ${figures(late)}; after kills: ${figures(madeUp)}`);
if (Math.max(0, ...late) > mostLate) trouble(`a schedule was not kept: a run began ${Math.max(...late)} ms late`);
for (const [what, all] of answers) {
  const [times, afterKills] = [false, true].map((struck) =>
    all.filter(({ at }) => disturbed(at, at) === struck).map(({ took }) => took),
  ) as [number[], number[]];
  say(`answers, ms: ${what.padEnd(20)} ${figures(times)}; after kills: ${figures(afterKills)}`);
  const p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
  if (p99 > mostAnswer) trouble(`${what}: the slowest of a hundred answers takes ${p99.toFixed(0)} ms`);
}
for (const [what, from] of [
  ["first", began],
  ["last", began + (2 * span) / 3],
] as const) {
  const quarter = (number: number, field: "service" | "children" | "processes"): number => {
    const part = rssOf.filter(({ at }) => Math.floor(((at - from) * 12) / span) === number);
    return part.map((one) => one[field]).toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  };
  for (const field of ["service", "children"] as const) {
    const [before, after] = [quarter(1, field), quarter(3, field)];
    say(
      `memory, MiB: ${field}, ${what} third: ${millions(before)} → ${millions(after)} (${quarter(3, "processes")} children)`,
    );
    if (after > before * mostGrowth) trouble(`the memory of ${field} grew in the ${what} third`);
  }
}
say(`SIGTERM: ended after ${ended} ms`);
say(
  troubles.length === 0
    ? "nothing wrong"
    : `${troubles.length} troubles:\n${troubles.map((line) => `  ${line}`).join("\n")}`,
);
if (up.stderr !== "") say(`the service's log at the end:\n${up.stderr.trim().split("\n").slice(-10).join("\n")}`);
process.exitCode = troubles.length === 0 ? 0 : 1;
