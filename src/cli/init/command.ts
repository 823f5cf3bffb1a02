import { dirname, resolve } from "node:path";
import { Command } from "commander";
import { destinations } from "../../destinations/index.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import { sourceName, sources } from "../../sources/index.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { defaultFile } from "../configuration/load.ts";
import { isAddress, sourceFromAddress } from "../configuration/source-address.ts";
import { count, duration } from "../../toolkit/figures.ts";
import { listOf } from "../display/wrap.ts";
import type { Outcome } from "../exit-codes.ts";
import { initSourceCommand } from "../init-source/command.ts";
import { examples, withOutputOptions } from "../options.ts";
import { type OutputOptions, runCommand, type Session } from "../session.ts";
import { syncConnection } from "../sync.ts";
import type { Environment } from "../environment.ts";
import { type Answers, configured, dialogue, type Given, type GivenSide, type Values } from "./dialogue.ts";
import { assertAbsent, type Written, writeConnection } from "./files.ts";
import { Cancelled, Prompts } from "./prompts.ts";

interface InitFlags extends OutputOptions {
  readonly file?: string;
  readonly source?: string;
  readonly destination?: string;
  readonly tables?: string;
  readonly sync?: boolean;
}

const defaultSource = "yugabytedb";

export function initCommand(environment: Environment): Command {
  const command = new Command("init")
    .description(
      "Creates a file of connections, with comments on every setting. On a terminal it asks for what it needs, tests each answer, shows the tables, and offers a first sync. Passwords go to .env. Without a terminal it asks nothing, and uses environment variables.",
    )
    .argument("[connection]", "name of the connection (default: that of its source)")
    .optionsGroup("What to write:")
    .option(
      "--source <kind>",
      `kind of the source, or its address, such as postgresql://reader@host/shop (default without a terminal: ${defaultSource})`,
    )
    .option("--destination <kind>", "kind of the destination, or its address, such as duckdb:shop.duckdb")
    .option("--tables <names>", "tables to copy, separated by commas; names, or patterns with *")
    .option("--sync", "sync at once, without asking")
    .option("--no-sync", "do not offer a first sync")
    .option("-f, --file <path>", `the file to create; an existing file is never changed (default: ${defaultFile})`);
  return withOutputOptions(command)
    .helpCommand(false)
    .addCommand(initSourceCommand(environment))
    .addHelpText("after", `\n${listOf("Sources", Object.keys(sources))}`)
    .addHelpText("after", `\n${listOf("Destinations", Object.keys(destinations))}`)
    .addHelpText(
      "after",
      examples(
        ["init", "creates headwaters.yaml in this folder, step by step"],
        ["init shop --source postgresql://reader@db.example.com/shop", "asks only for the rest"],
        ["init iot --source yugabytedb --file connections/iot.yaml", "another name and another file"],
        ["init source weather", "a source of your own, in TypeScript"],
      ),
    )
    .action((connection: string | undefined, flags: InitFlags) =>
      runCommand(environment, flags, (session) => init(session, connection ?? null, flags)),
    );
}

async function init(session: Session, name: string | null, flags: InitFlags): Promise<Outcome> {
  const { environment, output, json, quiet } = session;
  const { file = defaultFile } = flags;
  const path = resolve(environment.folder, file);
  const given: Given = {
    folder: dirname(path),
    name,
    source: flags.source === undefined ? null : sourceGiven(flags.source),
    destination: flags.destination === undefined ? null : await destinationGiven(session, flags.destination),
    tables: flags.tables?.split(",").map((table) => table.trim()) ?? null,
  };
  assertAbsent(path, file);
  const asks = environment.stdin.isTTY === true && output.errorIsTerminal && !json && !quiet;
  return asks ? await asking(session, path, file, given, flags) : await unasked(session, path, file, given);
}

function sourceGiven(text: string): Given["source"] {
  if (!isAddress(text)) {
    const type = sourceName(text);
    assertKnown("source", type, Object.keys(sources));
    return { type, values: null };
  }
  const { type, ...values } = sourceFromAddress(text, "--source");
  const texts = Object.entries(values).map(([name, value]) => [name, String(value)] as const);
  return { type: String(type), values: Object.fromEntries(texts) };
}

async function destinationGiven({ environment }: Session, text: string): Promise<Given["destination"]> {
  const [type = "", ...rest] = text.split(":");
  assertKnown("destination", type, Object.keys(destinations));
  if (rest.length === 0) return { type, values: null };
  const values = (await destinations[type]!.load()).fromAddress(rest.join(":"), environment.variables);
  const texts = Object.entries(values ?? {}).map(([name, value]) => [name, String(value)] as const);
  return { type, values: Object.fromEntries(texts) };
}

function assertKnown(side: "source" | "destination", type: string, known: readonly string[]): void {
  if (known.includes(type)) return;
  const meant = nearest(type, known);
  throw new HeadwatersError("CONFIGURATION_INVALID", `--${side} names an unknown ${side}: "${type}".`, {
    hint: meant === null ? `Choose one of ${known.join(", ")}.` : `Did you mean ${meant}?`,
  });
}

/** Asks step by step, then writes the file and offers a first sync. */
async function asking(session: Session, path: string, file: string, given: Given, flags: InitFlags): Promise<Outcome> {
  const { output } = session;
  try {
    const prompts = new Prompts(session);
    const answers = await dialogue(session, prompts, given);
    output.line(toldOf(file, await writeConnection(path, file, answers, session.environment.variables)));
    const { source, destination, tables, name } = answers;
    const syncs = flags.sync ?? (await prompts.yes(`Sync now? ${estimateOf(answers)}`));
    if (!syncs) {
      output.line("Then: headwaters check, headwaters sync.");
      return "ok";
    }
    const selected = tables.length === 0 ? null : tables;
    const connection = await configured(session, { folder: given.folder, source, destination, tables: selected });
    const outcome = await syncConnection(session, { ...connection, name, otherNames: [] }, {});
    if (outcome === "ok") output.line("Next: headwaters verify, headwaters status, headwaters query.");
    return outcome;
  } catch (thrown) {
    if (!(thrown instanceof Cancelled)) throw thrown;
    output.error("Stopped.");
    return "stopped";
  }
}

/** A rate in rows per second that every source reaches. */
const slowRead = 50_000;

function estimateOf({ estimatedRows }: Answers): string {
  const milliseconds = (estimatedRows / slowRead) * 1_000;
  const takes = milliseconds < 5_000 ? "a few seconds" : `up to ${duration(milliseconds)}`;
  return estimatedRows === 0 ? "" : `About ${count(estimatedRows)} rows, which takes ${takes}.`;
}

/** Writes the file without a question. Values that are not given come from environment variables. */
async function unasked(session: Session, path: string, file: string, given: Given): Promise<Outcome> {
  const { environment, output, json, quiet, tell } = session;
  const source = await sideOf(sources, given.source, { type: defaultSource, values: {} });
  const destination = await sideOf(destinations, given.destination, {
    type: "duckdb",
    values: { path: "warehouse.duckdb" },
  });
  const written = await writeConnection(
    path,
    file,
    { name: given.name ?? source.definition.name, source, destination, tables: given.tables ?? [] },
    environment.variables,
  );
  if (json) tell(null, { kind: "init", file, variables: written.unset });
  if (json || quiet) return "ok";
  output.line(toldOf(file, written));
  if (written.unset.length > 0) output.line(`Set ${written.unset.join(", ")}, or write the values into ${file}.`);
  output.line("Then: headwaters check, headwaters sync.");
  return "ok";
}

async function sideOf<Definition>(
  registry: Readonly<Record<string, { load(): Promise<Definition> }>>,
  given: GivenSide | null,
  preset: GivenSide & { readonly values: Values },
): Promise<{ readonly definition: Definition; readonly values: Values }> {
  const { type, values } = given ?? preset;
  return { definition: await registry[type]!.load(), values: values ?? (type === preset.type ? preset.values : {}) };
}

function toldOf(file: string, { secrets }: Written): string {
  return secrets.length === 0 ? `Wrote ${file}.` : `Wrote ${file}, and ${secrets.join(", ")} into .env beside it.`;
}
