import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { Command } from "commander";
import { HeadwatersError } from "../protocol/errors.ts";
import { attemptPlace, loadRunLog } from "./attempts.ts";
import { defaultFile } from "./configuration/load.ts";
import type { Environment } from "./environment.ts";
import type { Outcome } from "./exit-codes.ts";
import { examples, withOutputOptions } from "./options.ts";
import { type OutputOptions, runCommand, type Session } from "./session.ts";
import { homeOf } from "./up/load-service.ts";

interface LogsFlags extends OutputOptions {
  readonly file?: string;
}

export function logsCommand(environment: Environment): Command {
  const command = new Command("logs")
    .description("Shows the log of a run that was made on this machine. headwaters history shows the ids of runs.")
    .argument("<run>", "the id of the run, or the first eight letters of it")
    .optionsGroup("Which connections:")
    .option("-f, --file <path>", `the file with the connections (default: ${defaultFile})`);
  return withOutputOptions(command)
    .addHelpText("after", examples(["logs 1b9d6bcd", "the log of one run"], ["logs 1b9d6bcd --json", "for a program"]))
    .action((run: string, flags: LogsFlags) =>
      runCommand(environment, flags, (session) => showLog(session, run, flags)),
    );
}

async function showLog(
  { environment, output, json, tell }: Session,
  run: string,
  { file }: LogsFlags,
): Promise<Outcome> {
  const home = homeOf({ file, folder: environment.folder });
  const placeOf = (connection: string) => attemptPlace(home, connection, environment.variables);
  if (!/^[0-9a-f]{8}[0-9a-f-]*$/.test(run)) throw unknown(run, "Write at least the first eight letters of its id.");
  for (const connection of connectionsIn(dirname(placeOf("any").folder))) {
    const lines = loadRunLog(placeOf(connection), run);
    if (lines === null) continue;
    for (const { at, level, message } of lines) {
      if (json) tell(connection, { kind: "log", line: { at, level, message } });
      else output.line(`${at} ${level} ${message}`);
    }
    return "ok";
  }
  throw unknown(run, "Run headwaters history: it lists the runs. Runs of other machines have their logs there.");
}

function unknown(run: string, hint: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `this machine has no log of a run ${JSON.stringify(run)}.`, {
    hint,
  });
}

/** The connections that have left attempts on this machine. */
function connectionsIn(folder: string): readonly string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isDirectory() && !entry.name.startsWith(".") ? [entry.name] : []));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw thrown;
  }
}
