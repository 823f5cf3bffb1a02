import { Argument, Command } from "commander";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import type { QueryResult } from "../protocol/query.ts";
import type { CopySide } from "./configuration/resolve.ts";
import { counted } from "../toolkit/figures.ts";
import { tableLines } from "./display/table.ts";
import type { Outcome } from "./exit-codes.ts";
import { type ConnectionOptions, examples, requestOf, withConnectionOptions, withOutputOptions } from "./options.ts";
import { forEachCopySide, type OutputOptions, runCommand, type Session } from "./session.ts";
import type { Environment } from "./environment.ts";

interface QueryFlags extends ConnectionOptions, OutputOptions {
  readonly limit: string;
}

export function queryCommand(environment: Environment): Command {
  const command = withConnectionOptions(
    new Command("query").addArgument(new Argument("<sql>", "a SELECT, in the destination's SQL")),
  )
    .description(
      "Runs a query on the destination and shows the result. The tables of the connection need no schema before their names. It only reads. Needs neither the source nor its secrets.",
    )
    .optionsGroup("What to show:")
    .option("--limit <rows>", "the most rows to show", "1000");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["query 'SELECT count(*) FROM devices'", "the connection of headwaters.yaml"],
        ["query 'FROM devices LIMIT 10' iot", "one of several connections; DuckDB and DuckLake also accept FROM alone"],
        ["query 'SELECT * FROM devices' --json | jq .id", "for a program"],
      ),
    )
    .action((sql: string, connections: readonly string[], flags: QueryFlags) =>
      runCommand(environment, flags, (session) =>
        forEachCopySide(
          session,
          requestOf(connections, flags),
          (connection) => queryConnection(session, connection, sql, limitOf(flags)),
          { most: 1 },
        ),
      ),
    );
}

function limitOf({ limit }: QueryFlags): number {
  if (/^[1-9]\d{0,8}$/.test(limit)) return Number(limit);
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    `--limit must be a whole number from 1, not ${JSON.stringify(limit)}.`,
  );
}

async function queryConnection(session: Session, connection: CopySide, sql: string, limit: number): Promise<Outcome> {
  const { output, json, quiet, signal } = session;
  const { definition, configuration } = connection.destination;
  const result = await definition.query(configuration, { sql, schema: connection.schema, limit, signal });
  const { columns, rows, more } = result;
  if (json) {
    for (const row of rows) output.json(Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])));
    return "ok";
  }
  for (const line of tableLines(...tableOf(result), output)) output.line(line);
  if (quiet) return "ok";
  output.line(more ? `the first ${counted(rows.length, "row")}; --limit shows more` : counted(rows.length, "row"));
  return "ok";
}

function tableOf({ columns, rows }: QueryResult): [Parameters<typeof tableLines>[0], readonly (readonly string[])[]] {
  return [
    columns.map(({ name, isNumber }) => ({ title: name, align: isNumber ? "right" : "left" })),
    rows.map((row) => row.map(shown)),
  ];
}

/** A value in one line. */
function shown(value: Json): string {
  if (value === null) return "NULL";
  return (typeof value === "string" ? value : JSON.stringify(value)).replaceAll(/\r?\n/g, "⏎");
}
