import { destinations } from "../../destinations/index.ts";
import { asHeadwatersError } from "../../protocol/errors.ts";
import type { DestinationDefinition } from "../../protocol/destination.ts";
import type { CheckResult, SourceDefinition } from "../../protocol/source.ts";
import { sources } from "../../sources/index.ts";
import { selects } from "../../toolkit/patterns.ts";
import { shownCheck } from "../check.ts";
import { type ConfiguredConnection, resolveConnection } from "../configuration/resolve.ts";
import { literal } from "../configuration/sample.ts";
import { type Setting, settingsOf } from "../configuration/settings.ts";
import { destinationContext, openSource } from "../connect.ts";
import { showTables } from "../discover.ts";
import { showError } from "../errors.ts";
import type { Session } from "../session.ts";
import type { Prompts } from "./prompts.ts";

/** Values of settings, by name. */
export type Values = Readonly<Record<string, string>>;

/** One side of a connection: a known kind, and values of its settings; `null`: the dialogue asks for them. */
export interface GivenSide {
  readonly type: string;
  readonly values: Values | null;
}

/** Answers that flags give, which are not asked; `null`: it is asked. */
export interface Given {
  /** Where the file of connections will be: relative paths start there. */
  readonly folder: string;
  readonly name: string | null;
  readonly source: GivenSide | null;
  readonly destination: GivenSide | null;
  readonly tables: readonly string[] | null;
}

export interface Side<Definition = SourceDefinition | DestinationDefinition> {
  readonly definition: Definition;
  readonly values: Values;
}

export interface Answers {
  readonly name: string;
  readonly source: Side<SourceDefinition>;
  readonly destination: Side<DestinationDefinition>;
  /** Names or patterns; empty: all. */
  readonly tables: readonly string[];
  /** The rows of the selected tables, as far as the source can estimate them. */
  readonly estimatedRows: number;
}

/** Settings that are asked although they have a default or are optional. The others are in the file, as comments. */
const asked: ReadonlySet<string> = new Set(
  "host hostname host_1 port database keyspace schema user username password path catalog data".split(" "),
);

/** Suggested answers for settings without a default. */
const suggestions: Values = { host: "localhost", hostname: "localhost", host_1: "localhost" };

type Registry<Definition> = Readonly<Record<string, { readonly title: string; load(): Promise<Definition> }>>;

/** Asks step by step what a connection needs, and tries each step at once. */
export async function dialogue(session: Session, prompts: Prompts, given: Given): Promise<Answers> {
  const source = await side(
    session,
    prompts,
    sources,
    given.source,
    "Which database do you want to copy?",
    async (one) => {
      const connection = await configured(session, { ...given, source: one, destination: null });
      await using open = await openSource(connection, session);
      return await works(session, open.check(session.signal));
    },
  );
  const name = given.name ?? (await prompts.text("Name of the connection", source.definition.name, true));
  const destination = await side(
    session,
    prompts,
    destinations,
    given.destination,
    "Where should the copy be?",
    async (one) => {
      const connection = await configured(session, { ...given, source, destination: one });
      const { definition, configuration } = connection.destination;
      return works(session, definition.check(configuration, destinationContext(connection, session), session.signal));
    },
  );
  const connection = { ...(await configured(session, { ...given, source, destination })), name };
  return { name, source, destination, ...(await tablesOf(session, prompts, connection, given.tables)) };
}

/** The connection with these sides. Without a destination it has the default one. */
export function configured(
  { environment, output }: Session,
  {
    folder,
    source,
    destination,
    tables,
  }: Pick<Given, "folder" | "tables"> & {
    readonly source: Side;
    readonly destination: Side | null;
  },
): Promise<ConfiguredConnection> {
  const entryOf = ({ definition, values }: Side): Readonly<Record<string, string>> => ({
    ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, literal(value)])),
    type: definition.name,
  });
  const raw = {
    name: null,
    entry: {
      source: entryOf(source),
      destination: destination === null ? "duckdb" : entryOf(destination),
      ...(tables === null ? {} : { tables: { include: tables } }),
    },
    folders: { source: folder, destination: folder },
    placeOf: (path: readonly (string | number)[]) => ({ label: path.join("."), file: null, line: null }),
    textOf: () => null,
  };
  return resolveConnection(raw, environment.variables, output.redactor);
}

/** Asks for one side until it works, or until the user goes on anyway. */
async function side<Definition extends SourceDefinition | DestinationDefinition>(
  session: Session,
  prompts: Prompts,
  registry: Registry<Definition>,
  given: GivenSide | null,
  question: string,
  tried: (side: Side<Definition>) => Promise<boolean>,
): Promise<Side<Definition>> {
  const kinds = Object.entries(registry).map(([value, { title }]) => ({ value, label: title }));
  const type = given?.type ?? (await prompts.one(question, kinds));
  const definition = await registry[type]!.load();
  const settings = settingsOf(definition.configuration).filter(({ name, required }) => required || asked.has(name));
  let values = given?.values ?? (await ask(prompts, settings, {}));
  for (;;) {
    if (await attempted(session, () => tried({ definition, values }))) return { definition, values };
    const next = await prompts.one("That does not work yet. What now?", [
      { value: "change", label: "Change the settings" },
      { value: "go on", label: "Continue anyway", hint: "and correct it in the file later" },
    ]);
    if (next === "go on") return { definition, values };
    values = await ask(prompts, settings, values);
  }
}

async function ask(prompts: Prompts, settings: readonly Setting[], before: Values): Promise<Values> {
  const values: Record<string, string> = { ...before };
  for (const { name, description, required, secret, default: preset } of settings) {
    const known = before[name];
    const [first = ""] = description.split(/\.(?: |$)/);
    const question = first === "" ? name : `${name}: ${first}`;
    const answer = secret
      ? (await prompts.secret(known === undefined ? question : `${question} (Enter: as before)`)) || (known ?? "")
      : await prompts.text(question, known ?? String(preset ?? suggestions[name] ?? ""), required);
    // A setting with its default stays a comment in the file.
    if (answer === String(preset ?? "") && !(secret && required)) delete values[name];
    else values[name] = answer;
  }
  return values;
}

/** Whether `work` succeeds. An error is shown. */
async function attempted(session: Session, work: () => Promise<boolean>): Promise<boolean> {
  try {
    return await work();
  } catch (thrown) {
    session.signal.throwIfAborted();
    showError(session.output, asHeadwatersError(thrown), null);
    return false;
  }
}

/** Shows the checks, and whether none of them failed. */
async function works(session: Session, checks: AsyncIterable<CheckResult>): Promise<boolean> {
  let failed = false;
  for await (const result of checks) {
    failed ||= result.status === "failed";
    session.output.line(shownCheck(session, result));
  }
  return !failed;
}

/** Shows the tables with how each would be read, and asks which to copy. */
async function tablesOf(
  session: Session,
  prompts: Prompts,
  connection: ConfiguredConnection,
  given: readonly string[] | null,
): Promise<Pick<Answers, "tables" | "estimatedRows">> {
  const found: Parameters<typeof showTables>[2][number][] = [];
  await attempted(session, async () => {
    await using source = await openSource(connection, session);
    found.push(...(await source.discover(session.signal)));
    return true;
  });
  const usable = found.filter(({ id, refused }) => refused === undefined && selects(connection.selection, id));
  showTables(session, connection, usable, false);
  let tables = given ?? [];
  if (given === null && usable.length > 1) {
    const which = await prompts.one("Which tables should be copied?", [
      { value: "all", label: `All ${usable.length}`, hint: "and new ones later" },
      { value: "some", label: "Some of them" },
    ]);
    const choices = usable.map(({ id }) => ({ value: id, label: id }));
    if (which === "some") tables = await prompts.some("Which of them?", choices);
  }
  const selected = usable.filter(({ id }) => tables.length === 0 || selects({ include: tables, exclude: [] }, id));
  const estimatedRows = selected.reduce((sum, table) => sum + (table.estimatedRows ?? 0), 0);
  return { tables, estimatedRows };
}
