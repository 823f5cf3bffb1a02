import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { Client } from "pg";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Changes, RunRecord } from "../../protocol/sink.ts";
import { type ConfiguredConnection, resolveConnection } from "../configuration/resolve.ts";
import { openWarehouse } from "../connect.ts";
import { count, counted, duration } from "../display/format.ts";
import { examples } from "../options.ts";
import type { Outcome } from "../exit-codes.ts";
import { runCommand, type Session } from "../session.ts";
import { syncConnection } from "../sync.ts";
import { verifyConnection } from "../verify.ts";
import type { World } from "../world.ts";
import { changes, createStatements, rowCounts } from "./dataset.ts";
import { lookInside } from "./look.ts";
import { LocalPostgresql } from "./postgresql.ts";

/** Below the current folder. */
const folder = "demo";

export function demoCommand(world: World): Command {
  return new Command("demo")
    .description(
      `Starts a real PostgreSQL with the tables of an industrial IoT system, copies it to ${folder}/warehouse.duckdb below the current folder, changes it, copies only what changed, and proves that the copy is right. Takes about half a minute; the server goes at the end, the warehouse stays.`,
    )
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", examples(["demo", "see it for yourself"]))
    .action(() => runCommand(world, {}, demo));
}

async function demo(session: Session): Promise<Outcome> {
  const { world, output, signal } = session;
  const warehouse = join(world.folder, folder, "warehouse.duckdb");
  const step = steps(session);

  step("Starting a real PostgreSQL 15, a stand-in for YugabyteDB: they speak the same protocol");
  await using server = await LocalPostgresql.start({ signal });
  output.line(`It listens on ${server.host}:${server.port}, in ${server.folder}, and goes when the demo ends.`);

  step("Filling it: an industrial IoT system");
  await execute(server, createStatements, signal);
  output.line(
    Object.entries(rowCounts)
      .map(([table, rows]) => `${table} ${counted(rows, "row")}`)
      .join(", "),
  );

  await mkdir(join(world.folder, folder), { recursive: true });
  for (const file of [warehouse, `${warehouse}.wal`]) await rm(file, { force: true });
  const connection = await connectionTo(server, session);
  step(`First sync: every row, into ${warehouse}`);
  const first = await syncConnection(session, connection, {});
  if (first !== "ok") return first;

  step("Life goes on in the source");
  const changed = await execute(
    server,
    changes.map((change) => change.statement),
    signal,
  );
  output.line(changes.map((change) => change.told).join(", "));

  step("Second sync: only what changed (and with --sweep what was deleted)");
  const second = await syncConnection(session, connection, { sweep: true });
  if (second !== "ok") return second;
  output.line(await movedOnly(session, connection, changed));

  step("verify: source and copy, compared row by row over another path than the sync took");
  const verified = await verifyConnection(session, connection, []);
  if (verified !== "ok") return verified;

  step("A look into the warehouse");
  for (const line of await lookInside(warehouse, output.paint)) output.line(line);
  output.line();
  output.line(`The warehouse stays: ${warehouse}`);
  output.line(`Next: "headwaters init" writes a headwaters.yaml for a database of your own.`);
  return "ok";
}

/** Titles of the steps, each with the time since the demo began. */
function steps({ output }: Session): (title: string) => void {
  const began = performance.now();
  let number = 0;
  return (title) => {
    const at = number === 0 ? "" : ` ${output.paint("dim", `(at ${duration(performance.now() - began)})`)}`;
    if (number++ > 0) output.line();
    output.line(`${output.paint("bold", `${number}. ${title}`)}${at}`);
  };
}

/** Runs statements in one transaction each; resolves to how many rows each one changed. */
async function execute(server: LocalPostgresql, statements: readonly string[], signal: AbortSignal): Promise<number[]> {
  const client = new Client({ connectionString: server.connectionString() });
  const stop = (): void => void client.end();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await client.connect();
    const rows: number[] = [];
    for (const statement of statements) rows.push((await client.query(statement)).rowCount ?? 0);
    return rows;
  } finally {
    signal.removeEventListener("abort", stop);
    await client.end();
  }
}

async function connectionTo(server: LocalPostgresql, { world, output }: Session): Promise<ConfiguredConnection> {
  const { host, port, user, password } = server;
  return resolveConnection(
    {
      name: "demo",
      entry: {
        source: { type: "yugabytedb", host, port, database: "postgres", user, password, sslmode: "disable" },
        destination: { type: "duckdb", path: join(folder, "warehouse.duckdb") },
      },
      folders: { source: world.folder, destination: world.folder },
      placeOf: (path) => ({ label: `demo.${path.join(".")}`, file: null, line: null }),
      textOf: () => null,
    },
    world.environment,
    output.redactor,
  );
}

/** Holds what the last sync moved against what was changed in the source: not a row more, and none less. */
async function movedOnly(
  session: Session,
  connection: ConfiguredConnection,
  changed: readonly number[],
): Promise<string> {
  await using warehouse = await openWarehouse(connection, session, false);
  const [run] = await warehouse.runs(1);
  for (const [index, { table, what, rows }] of changes.entries()) {
    const moved = movedOf(run, table)[what];
    if (changed[index] !== rows || moved !== rows) {
      throw new HeadwatersError(
        "DEFECT",
        `${table}: ${moved} rows ${what} in the copy, ${changed[index]} in the source`,
      );
    }
  }
  const total = changes.reduce((sum, { rows }) => sum + rows, 0);
  const all = Object.values(rowCounts).reduce((sum, rows) => sum + rows, 0);
  return `Moved: ${count(total)} rows, just those that changed, of ${count(all)}.`;
}

function movedOf(run: RunRecord | undefined, table: string): Changes {
  return run?.tables.find((moved) => moved.table === table) ?? { inserted: 0, updated: 0, deleted: 0 };
}
