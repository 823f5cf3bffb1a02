import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Argument, Command } from "commander";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Warehouse } from "../protocol/destination.ts";
import type { CopySide } from "./configuration/resolve.ts";
import { assertFolderCreatable } from "../toolkit/creatable.ts";
import { openWarehouse } from "./connect.ts";
import { counted, size } from "../toolkit/figures.ts";
import type { Outcome } from "./exit-codes.ts";
import {
  type ConnectionOptions,
  examples,
  narrowed,
  requestOf,
  withConnectionOptions,
  withOutputOptions,
} from "./options.ts";
import { forEachCopySide, type OutputOptions, runCommand, type Session } from "./session.ts";
import { onlyTables } from "./tables.ts";
import type { Environment } from "./environment.ts";

interface ExportFlags extends ConnectionOptions, OutputOptions {
  readonly to: string;
  readonly replace?: boolean;
  readonly systemColumns?: boolean;
}

export function exportCommand(environment: Environment): Command {
  const command = withConnectionOptions(
    new Command("export").addArgument(new Argument("<format>", "what to write").choices(["parquet"])),
  )
    .description(
      "Writes the copies to files, without deleted rows: FOLDER/CONNECTION/TABLE.parquet. All tables of a connection show the same moment. The folder of a connection appears completely or not at all. Works for copies in DuckDB and DuckLake.",
    )
    .optionsGroup("What to write:")
    .requiredOption("--to <folder>", "the folder; it is created if it does not exist")
    .option("--replace", "replace the existing folder of a connection")
    .option("--system-columns", "include the columns that Headwaters adds");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["export parquet iot --to exports", "every table of a connection"],
        ["export parquet iot --to exports --replace --tables alerts", "one table, instead of an older export"],
      ),
    )
    .action((_format: string, connections: readonly string[], flags: ExportFlags) =>
      runCommand(environment, flags, (session) =>
        forEachCopySide(session, requestOf(connections, flags), (connection) =>
          exportConnection(session, connection, { ...flags, ...requestOf(connections, flags) }),
        ),
      ),
    );
}

async function exportConnection(session: Session, connection: CopySide, flags: ExportFlags): Promise<Outcome> {
  const { environment, output, json, quiet, tell } = session;
  const to = resolve(environment.folder, flags.to);
  const folder = join(to, fileName(connection.name));
  if (existsSync(folder) && flags.replace !== true) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `--to: ${folder} exists already`, {
      hint: "Add --replace, or choose another folder.",
    });
  }
  await using warehouse = await openWarehouse(connection, session, false);
  const partial = await partialFolder(to);
  try {
    const written = await write(warehouse, connection, partial, session, flags);
    await exchange(partial, folder);
    for (const { table, file, rows, bytes } of written) {
      if (json) tell(connection.name, { kind: "exported", table, file: join(folder, file), rows, bytes });
      else if (!quiet) output.line(`${connection.name}: ${table}: ${counted(rows, "row")}, ${size(bytes)}, ${file}`);
    }
    if (!json && !quiet) output.line(`${connection.name}: ${counted(written.length, "table")} written to ${folder}`);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return "ok";
}

interface Written {
  readonly table: string;
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
}

async function write(
  warehouse: Warehouse,
  { destination, rename: renamed }: CopySide,
  folder: string,
  { signal }: Session,
  flags: ExportFlags,
): Promise<readonly Written[]> {
  if (warehouse.exportParquet === undefined) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `${destination.definition.title} can't write Parquet files`, {
      hint: "Use DuckDB or DuckLake as the destination.",
    });
  }
  const stored = await warehouse.load();
  const names = onlyTables([...stored.tables.keys()].sort(), narrowed(flags), (id) => id);
  const files = new Map(names.map((id) => [id, `${fileName(renamed[id] ?? id)}.parquet`]));
  const paths = new Map([...files].map(([id, file]) => [id, join(folder, file)]));
  const written: Written[] = [];
  for await (const { table, rows } of warehouse.exportParquet(paths, {
    systemColumns: flags.systemColumns ?? false,
    signal,
  })) {
    const file = await stat(paths.get(table)!);
    written.push({ table, file: files.get(table)!, rows, bytes: file.size });
  }
  return written;
}

/** A new folder in `to`, so that a rename within it is atomic. */
async function partialFolder(to: string): Promise<string> {
  // This comes first: making folders below one that allows none, such as /proc, never ends in Node.js (seen).
  await assertFolderCreatable("--to", to);
  await mkdir(to, { recursive: true });
  return mkdtemp(join(to, ".export-"));
}

/** Renames `partial` to `folder`, and removes the old `folder`. */
async function exchange(partial: string, folder: string): Promise<void> {
  const old = `${partial}-old`;
  const replaces = existsSync(folder);
  if (replaces) await rename(folder, old);
  await rename(partial, folder);
  if (replaces) await rm(old, { recursive: true, force: true });
}

/** A file name that is valid on every system. Other characters are escaped, for example as `%2F`. */
function fileName(name: string): string {
  const code = (character: string): string => character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
  return name.replaceAll(/[%/\\:*?"<>|\p{Cc}]|^\.|[. ]$/gu, (character) => `%${code(character)}`);
}
