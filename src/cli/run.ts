import { Command } from "commander";
import { defaultDestination } from "./configuration/load.ts";
import { examples, exitCodesHelp, withOutputOptions } from "./options.ts";
import { forEachConnection, type OutputOptions, runCommand } from "./session.ts";
import { syncConnection } from "./sync.ts";
import type { Environment } from "./environment.ts";

interface RunFlags extends OutputOptions {
  readonly configuration?: string;
  readonly destination?: string;
  readonly schema?: string;
  readonly full?: boolean;
}

export function runSourceCommand(environment: Environment): Command {
  const command = new Command("run")
    .description(
      "Syncs a source of your own, written in TypeScript or JavaScript. Its state is kept in the destination: the next run continues from there.",
    )
    .argument("<file>", "the file that exports the source, such as ./my-source.ts")
    .optionsGroup("What to run it with:")
    .option("--configuration <file>", "a JSON file with the settings of the source")
    .option("--destination <kind:address>", `the destination (default: ${defaultDestination})`)
    .option("--schema <name>", "the schema in the destination (default: the source's name)")
    .option("--full", "start over with an empty state and empty copies");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["init source weather", "writes weather/source.ts, which you change"],
        ["run weather/source.ts", "into warehouse.duckdb"],
        ["run weather/source.ts --configuration configuration.json --full", "with settings, from the start"],
        ["sync --source ./weather/source.ts", "like any other source: sync, check, status, reset"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((file: string, { full = false, configuration, destination, schema, ...output }: RunFlags) =>
      runCommand(environment, output, (session) => {
        const given = Object.entries({ configuration, destination, schema }).filter(([, value]) => value !== undefined);
        const request = { names: [], source: file, ...Object.fromEntries(given) };
        return forEachConnection(session, request, (connection) => syncConnection(session, connection, { full }));
      }),
    );
}
