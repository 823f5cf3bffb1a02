import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Argument, Command, InvalidArgumentError } from "commander";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { RunRecord } from "../../protocol/state-store.ts";
import type { Changes } from "../../protocol/transaction.ts";
import { type ConfiguredConnection, resolveConnection } from "../configuration/resolve.ts";
import { openWarehouse } from "../connect.ts";
import { count, duration } from "../../toolkit/figures.ts";
import { examples } from "../options.ts";
import type { Outcome } from "../exit-codes.ts";
import { runCommand, type Session } from "../session.ts";
import { syncConnection } from "../sync.ts";
import { verifyConnection } from "../verify.ts";
import type { Environment } from "../environment.ts";
import { lookInside } from "./look.ts";
import { sourceName } from "../../sources/index.ts";
import { type Scenario, scenarios } from "./scenario.ts";

/** The demo's folder, below the current folder. */
const folder = "demo";

interface DemoOptions {
  readonly server?: string;
}

export function demoCommand(environment: Environment): Command {
  return new Command("demo")
    .description(
      `Starts a real database, fills it, copies it to ${folder}/warehouse.duckdb, changes it, copies only what changed, and compares source and copy. Takes about half a minute. At the end, the server is removed and the warehouse stays.`,
    )
    .addArgument(new Argument("[source]", "the kind of source").choices(kinds).argParser(kindOf).default("yugabytedb"))
    .option(
      "--server <address>",
      "a running server. For redis, valkey and dragonflydb, with an empty database: redis://user:password@host:6379. For cassandra and scylladb, which get a temporary keyspace: cql://user:password@host:9042. Required for rethinkdb, which gets a temporary database: rethinkdb://user:password@host:28015",
    )
    .helpOption("-h, --help", "show this help")
    .addHelpText(
      "after",
      examples(
        ["demo", "PostgreSQL in place of YugabyteDB"],
        ["demo dragonflydb", "sessions, caches and queues of a web shop"],
      ),
    )
    .action((source: string, options: DemoOptions) =>
      runCommand(environment, {}, (session) => demo(session, source, options)),
    );
}

const kinds = Object.keys(scenarios);

function kindOf(given: string): string {
  const kind = sourceName(given);
  if (kinds.includes(kind)) return kind;
  throw new InvalidArgumentError(`Allowed choices are ${kinds.join(", ")}.`);
}

async function demo(
  session: Session,
  source: string,
  { server = null }: { readonly server?: string | null },
): Promise<Outcome> {
  const { environment, output, signal } = session;
  const warehouse = join(environment.folder, folder, "warehouse.duckdb");
  const step = steps(session);

  const entry = scenarios[source]!;
  step(entry.title);
  await using scenario = await entry.start(session, { server });
  output.line(scenario.where);

  step("Filling it");
  output.line(await scenario.fill(signal));

  await mkdir(join(environment.folder, folder), { recursive: true });
  for (const file of [warehouse, `${warehouse}.wal`]) await rm(file, { force: true });
  const connection = await connectionTo(scenario, session);
  step(`First sync: every row, into ${warehouse}`);
  const first = await syncConnection(session, connection, {});
  if (first !== "ok") return first;

  step("Life goes on in the source");
  const changed = await scenario.change(signal);
  output.line(scenario.changes.map((change) => change.told).join(", "));

  step("Second sync: only what changed (and with --sweep what was deleted)");
  const second = await syncConnection(session, connection, { sweep: true });
  if (second !== "ok") return second;
  output.line(await movedOnly(session, connection, scenario, changed));

  step("verify: source and copy, compared row by row over another path than the sync took");
  const verified = await verifyConnection(session, connection, []);
  if (verified !== "ok") return verified;

  step("A look into the warehouse");
  for (const line of await lookInside(warehouse, scenario.query, output)) output.line(line);
  output.line();
  output.line(`The warehouse stays: ${warehouse}`);
  output.line(`Next: "headwaters init" writes a headwaters.yaml for a database of your own.`);
  return "ok";
}

/** Shows the titles of the steps, each with the time since the start of the demo. */
function steps({ output }: Session): (title: string) => void {
  const began = performance.now();
  let number = 0;
  return (title) => {
    const at = number === 0 ? "" : ` ${output.paint("dim", `(at ${duration(performance.now() - began)})`)}`;
    if (number++ > 0) output.line();
    output.line(`${output.paint("bold", `${number}. ${title}`)}${at}`);
  };
}

async function connectionTo({ source }: Scenario, { environment, output }: Session): Promise<ConfiguredConnection> {
  return resolveConnection(
    {
      name: "demo",
      entry: {
        source,
        destination: { type: "duckdb", path: "warehouse.duckdb" },
      },
      folders: { source: environment.folder, destination: join(environment.folder, folder) },
      placeOf: (path) => ({ label: `demo.${path.join(".")}`, file: null, line: null }),
      textOf: () => null,
    },
    environment.variables,
    output.redactor,
  );
}

/** Checks that the last sync moved exactly the rows that changed in the source. */
async function movedOnly(
  session: Session,
  connection: ConfiguredConnection,
  { changes, rows: all }: Scenario,
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
  return `Moved: ${count(total)} rows, just those that changed, of ${count(all)}.`;
}

function movedOf(run: RunRecord | undefined, table: string): Changes {
  return run?.tables.find((moved) => moved.table === table) ?? { inserted: 0, updated: 0, deleted: 0 };
}
