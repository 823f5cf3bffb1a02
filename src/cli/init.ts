import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { HeadwatersError } from "../protocol/errors.ts";
import { sourceName, sources } from "../sources/index.ts";
import { nearest } from "../toolkit/nearest.ts";
import { recordFolder } from "./attempts.ts";
import { defaultFile } from "./configuration/load.ts";
import { settingsOf } from "./configuration/settings.ts";
import { sampleFile, variableOf } from "./configuration/sample.ts";
import { listOf } from "./display/wrap.ts";
import type { Outcome } from "./exit-codes.ts";
import { initSourceCommand } from "./init-source/command.ts";
import { examples, withOutputOptions } from "./options.ts";
import { Questions } from "./questions.ts";
import { type OutputOptions, runCommand, type Session } from "./session.ts";
import type { Environment } from "./environment.ts";

interface InitFlags extends OutputOptions {
  readonly file?: string;
  readonly source?: string;
}

const defaultSource = "yugabytedb";

export function initCommand(environment: Environment): Command {
  const command = new Command("init")
    .description(
      "Writes a commented file of connections with every setting there is. On a terminal it asks for what can't be guessed; values that are not given are taken from environment variables.",
    )
    .argument("[connection]", "name of the connection (default: as its source)")
    .optionsGroup("What to write:")
    .option("--source <kind>", `kind of the source (default: ${defaultSource})`)
    .option("-f, --file <path>", `where to; a file that is there is left alone (default: ${defaultFile})`);
  return withOutputOptions(command)
    .helpCommand(false)
    .addCommand(initSourceCommand(environment))
    .addHelpText("after", `\n${listOf("Sources", Object.keys(sources))}`)
    .addHelpText(
      "after",
      examples(
        ["init", "headwaters.yaml in this folder"],
        ["init iot --source yugabytedb --file connections/iot.yaml", "names of your own"],
        ["init source weather", "a source of your own, in TypeScript"],
      ),
    )
    .action((connection: string | undefined, flags: InitFlags) =>
      runCommand(environment, flags, (session) => init(session, connection, flags)),
    );
}

async function init(session: Session, name: string | undefined, flags: InitFlags): Promise<Outcome> {
  const { environment, output, json, quiet, tell } = session;
  const { source: given = defaultSource, file = defaultFile } = flags;
  const source = sourceName(given);
  if (!Object.hasOwn(sources, source)) {
    const meant = nearest(source, Object.keys(sources));
    throw new HeadwatersError("CONFIGURATION_INVALID", `--source names no source that there is: "${source}".`, {
      hint: meant === null ? `There is ${Object.keys(sources).join(", ")}.` : `Did you mean ${meant}?`,
    });
  }
  const definition = await sources[source]!.load();
  const settings = settingsOf(definition.configuration);
  const needed = settings.filter((setting) => setting.required);
  const asked = environment.stdin.isTTY === true && output.errorIsTerminal && !json && !quiet;
  const answers = asked
    ? await ask(
        session,
        needed.filter((setting) => !setting.secret).map(({ name }) => name),
      )
    : {};
  if (session.signal.aborted) return "stopped";
  const path = resolve(environment.folder, file);
  const schema = schemaFor(dirname(path));
  const text = sampleFile(name ?? source, definition, settings, answers, schema.address);
  try {
    // Only the owner may read the file, because users may write a password into it.
    await writeFile(path, text, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw notWritten(file, error);
  }
  if (schema.copied) {
    await mkdir(dirname(join(dirname(path), schema.address)), { recursive: true, mode: 0o700 });
    await copyFile(packagedSchema, join(dirname(path), schema.address));
  }
  const variables = needed.filter(({ name }) => answers[name] === undefined && name !== "host");
  const unset = variables
    .map((setting) => variableOf(source, setting.name))
    .filter((v) => environment.variables[v] === undefined);
  if (json) tell(null, { kind: "init", file, variables: unset });
  if (json || quiet) return "ok";
  output.line(`Wrote ${file}.`);
  if (unset.length > 0) output.line(`Set ${unset.join(", ")}, or write the values into ${file}.`);
  output.line(`Then: headwaters check, headwaters sync.`);
  return "ok";
}

/** The answers by setting. Empty answers are left out. */
async function ask(session: Session, names: readonly string[]): Promise<Readonly<Record<string, string>>> {
  using questions = new Questions(session);
  const answers: Record<string, string> = {};
  for (const name of names) {
    const answer = await questions.ask(`${name} (nothing: take it from the environment):`);
    if (answer !== "") answers[name] = answer;
  }
  return answers;
}

const packagedSchema = fileURLToPath(new URL("../../headwaters.schema.json", import.meta.url));

/**
 * Where a file of connections in this folder finds its schema: in the package, if the project has it installed, else in
 * a copy beside the file. The path is relative, so that it holds on every machine.
 */
function schemaFor(folder: string): { readonly address: string; readonly copied: boolean } {
  const path = relative(folder, packagedSchema).split(sep).join("/");
  const installed = /^(\.\.\/)*node_modules\//.test(path);
  const address = installed ? path : `${recordFolder}/${basename(packagedSchema)}`;
  return { address: address.startsWith("../") ? address : `./${address}`, copied: !installed };
}

function notWritten(file: string, error: unknown): HeadwatersError {
  const { code = String(error) } = error as NodeJS.ErrnoException;
  if (code === "EEXIST") {
    return new HeadwatersError("CONFIGURATION_INVALID", `${file} is there already; it was left as it is.`, {
      hint: "Name another with --file, or move it away first.",
      cause: error,
    });
  }
  return new HeadwatersError("CONFIGURATION_INVALID", `${file} can't be written (${code}).`, {
    hint: "Check the folder and its permissions, or name another file with --file.",
    cause: error,
  });
}
