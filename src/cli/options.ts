import { HeadwatersError } from "../protocol/errors.ts";
import { Command, Option } from "commander";
import { defaultDestination, defaultFile, type Request } from "./configuration/load.ts";
import { isAddress } from "./configuration/source-address.ts";
import { exitCodes } from "./exit-codes.ts";
import { logLevels } from "./log.ts";

/** The flags that select the connections of a command. */
export interface ConnectionOptions {
  readonly file?: string;
  readonly source?: string;
  readonly configuration?: string;
  readonly destination?: string;
  readonly schema?: string;
  readonly tables?: readonly string[];
  readonly exclude?: readonly string[];
}

/** `--tables a,b --tables c` */
function names(value: string, before: readonly string[] | undefined): readonly string[] {
  const given = value.split(",").map((name) => name.trim());
  return [...(before ?? []), ...given.filter((name) => name !== "")];
}

/** A command for connections: those of a file, or the one that the flags describe. */
export function connectionCommand(name: string): Command {
  return withConnectionOptions(new Command(name));
}

/** Adds the arguments and flags for connections to a command. Its other arguments come before. */
export function withConnectionOptions(command: Command): Command {
  return command
    .argument(
      "[connection...]",
      `names of connections in the file (default: all). Or the addresses of a source and a destination. With --source: a name for the connection`,
    )
    .optionsGroup("Which connections:")
    .option("-f, --file <path>", `the file with the connections (default: ${defaultFile})`)
    .option("--source <kind>", "one connection without a file: the kind or the address of its source")
    .option("--configuration <file>", "… a JSON file with the settings of the source")
    .option("--destination <kind:address>", `… the destination (default: ${defaultDestination})`)
    .option("--schema <name>", "… the schema in the destination (default: the source's)")
    .optionsGroup("Which tables:")
    .option("--tables <names>", "only these tables, separated by commas; with --source also patterns with *", names)
    .option("--exclude <names>", "without these tables; names, or patterns with *", names);
}

/** The flags that every command has. */
export function withOutputOptions(command: Command): Command {
  return command
    .optionsGroup("Output:")
    .option("--json", "one JSON object on each line, for programs")
    .option("-q, --quiet", "print only errors")
    .addOption(new Option("--log-level <level>", "what to log to standard error (default: info)").choices(logLevels));
}

export function requestOf(connections: readonly string[], options: ConnectionOptions): Request {
  const { file, configuration, schema, tables, exclude } = options;
  // `sync postgresql://reader@localhost/shop duckdb:shop.duckdb`
  const [first] = connections;
  const places = options.source === undefined && first !== undefined && isAddress(first) ? connections.slice(0, 2) : [];
  const { source = places[0], destination = places[1] } = options;
  const given = { file, source, configuration, destination, schema, tables, exclude };
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { names: connections.slice(places.length), ...(Object.fromEntries(set) as Omit<Request, "names">) };
}

/** The tables of `--tables`, to which a run is limited. With `--source`, they are the selection instead. */
export function narrowed({ source, tables = [] }: Pick<Request, "source" | "tables">): readonly string[] {
  return source === undefined ? tables : [];
}

/** The help text of the exit codes. */
export function exitCodesHelp(): string {
  const lines = Object.values(exitCodes).map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`);
  return ["", "Exit codes:", ...lines].join("\n");
}

/** The help text of examples: commands, each with what it does. */
export function examples(...shown: readonly (readonly [command: string, what: string])[]): string {
  return ["", "Examples:", ...shown.flatMap(([command, what]) => [`  # ${what}`, `  $ headwaters ${command}`])].join(
    "\n",
  );
}

/** The number of `--runs`. Throws `CONFIGURATION_INVALID`. */
export function runsOf(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    `--runs must be a whole number from 1, not ${JSON.stringify(text)}.`,
  );
}
