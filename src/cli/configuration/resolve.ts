import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { destinations } from "../../destinations/index.ts";
import { defaultSettings, type Settings, type TableSettings } from "../../engine/connection.ts";
import type { Deletion, DestinationContext, DestinationDefinition } from "../../protocol/destination.ts";
import type { Json } from "../../protocol/json.ts";
import type { Selection, SourceDefinition, TableOptions } from "../../protocol/source.ts";
import { sourceName, sources } from "../../sources/index.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { isSourceFile, loadSource } from "../load-source.ts";
import type { Redactor } from "../redact.ts";
import { type ConnectionEntry, connectionSchema } from "./connection-schema.ts";
import type { Path } from "./document.ts";
import { overrideProblems, tableOptions, tableSettings } from "./overrides.ts";
import { invalid, type Place, type Problem, validate } from "./problems.ts";
import { isAddress, sourceFromAddress } from "./source-address.ts";
import { type Setting, settingNames, settingsOf } from "./settings.ts";
import { type Fetched, resolveValues } from "./values.ts";

/** A connection as it is written in a file or on the command line. */
export interface RawConnection {
  /** `null`: the name of its source. */
  readonly name: string | null;
  readonly entry: Readonly<Record<string, unknown>>;
  /**
   * The folders at which relative paths in the settings of each side start. The path of a source's own file starts at
   * `destination`, because the settings of a source may come from a file in another folder.
   */
  readonly folders: { readonly source: string; readonly destination: string };
  placeOf(path: Path): Place;
  /** The text of a scalar in the file. */
  textOf(path: Path): string | null;
}

/** The part of a connection that concerns its copies. */
export interface CopySide {
  readonly name: string;
  /** For a connection named after its source: the names of the source's kin. The copies may be under one of them. */
  readonly otherNames: readonly string[];
  /** The folder of the file of connections; without a file the current folder. */
  readonly home: string;
  readonly destination: { readonly definition: DestinationDefinition; readonly configuration: unknown };
  /** The schema in the destination; empty: the source decides it, and was not loaded. */
  readonly schema: string;
  readonly selection: Selection;
  readonly rename: DestinationContext["rename"];
  readonly deletions: Readonly<Record<string, Deletion>>;
  readonly deletion: Deletion;
  readonly views: NonNullable<DestinationContext["views"]>;
  readonly systemColumnPrefix: string;
  /** As `SourceDefinition.position`. */
  readonly position: (next: Json) => string | null;
}

/** A connection with all settings checked. It is not open yet. */
export interface ConfiguredConnection extends CopySide {
  readonly source: { readonly definition: SourceDefinition; readonly configuration: unknown };
  /** The settings for individual tables, by table id: for the source, and for the engine. */
  readonly tables: Readonly<Record<string, TableOptions>>;
  readonly tableSettings: Readonly<Record<string, TableSettings>>;
  readonly types: "exact" | "example";
  readonly settings: Settings;
  /** When `headwaters up` works on it. */
  readonly service: Pick<ConnectionEntry, "schedule" | "verify" | "freshness">;
}

/** The settings of any destination that say where it is. */
const placeNames: ReadonlySet<string> = new Set(["path", "catalog", "catalog_schema", "host", "port", "database"]);

/** Identifies the place of a connection's copies. Holds no secret. */
export function placeOfCopies({ destination: { definition, configuration } }: CopySide): string {
  const settings = Object.entries(configuration as Readonly<Record<string, unknown>>);
  const place = settings.filter(([name]) => placeNames.has(name));
  return createHash("sha256")
    .update(JSON.stringify([definition.name, place]))
    .digest("hex")
    .slice(0, 16);
}

/** Names of variables whose values are secrets in any setting. */
const secretVariable = /PASS|SECRET|TOKEN|CREDENTIAL|API_?KEY|PRIVATE/i;

/** Inserts outside values, finds source and destination, and checks all settings. Throws all problems at once. */
export async function resolveConnection(
  raw: RawConnection,
  environment: NodeJS.ProcessEnv,
  redactor: Redactor,
): Promise<ConfiguredConnection> {
  const { value, fetched, problems } = await resolveValues(withSourceMapping(raw), {
    folder: raw.folders.source,
    environment,
    mayFetch,
    asks: () => true,
  });
  for (const { variable, value } of fetched) {
    if (variable === null || secretVariable.test(variable)) redactor.add(value);
  }
  const entry = withDestinationMapping(value as Readonly<Record<string, unknown>>);
  const parts = { raw, entry, fetched, redactor, environment };
  const source = await connector("source", parts, findSource(raw));
  const destination = await connector("destination", parts, (type) => known("destination", destinations, type));
  const whole = validate(connectionSchema, entry, {
    at: [],
    secrets: new Set(),
    known: (path) => settingNames(connectionSchema, path),
  });
  const unfit =
    whole.output === null || source.definition === null ? [] : overrideProblems(whole.output, source.definition);
  const found = [...problems, ...whole.problems, ...source.problems, ...destination.problems, ...unfit];
  const first = found.filter(({ path }, index) => found.findIndex((other) => samePath(other.path, path)) === index);
  if (first.length > 0 || whole.output === null || source.definition === null || destination.definition === null) {
    throw invalid(first, (path) => raw.placeOf(path));
  }
  const { definition } = source;
  const { overrides } = whole.output;
  return {
    ...copySide(raw, whole.output, definition, {
      definition: destination.definition,
      configuration: destination.configuration,
    }),
    source: { definition, configuration: source.configuration },
    schema: whole.output.schema ?? definition.schema(source.configuration),
    tables: each(overrides, tableOptions),
    tableSettings: each(overrides, tableSettings),
    types: whole.output.types,
    settings: engineSettings(whole.output),
    service: { schedule: whole.output.schedule, verify: whole.output.verify, freshness: whole.output.freshness },
  };
}

/**
 * As {@link resolveConnection}, for commands that need nothing of the source: its secrets are not read, and its
 * settings may be wrong.
 */
export async function resolveCopySide(
  raw: RawConnection,
  environment: NodeJS.ProcessEnv,
  redactor: Redactor,
): Promise<CopySide> {
  const { value, fetched, problems, unasked } = await resolveValues(withSourceMapping(raw), {
    folder: raw.folders.source,
    environment,
    mayFetch,
    asks: ([part]) => part !== "source",
  });
  const entry = withDestinationMapping(value as Readonly<Record<string, unknown>>);
  const parts = { raw, entry, fetched, redactor, environment };
  const destination = await connector("destination", parts, (type) => known("destination", destinations, type));
  const source = await connector<SourceDefinition>("source", parts, findSource(raw)).catch(() =>
    nothing<SourceDefinition>([]),
  );
  const whole = validate(connectionSchema, entry, {
    at: [],
    secrets: new Set(),
    known: (path) => settingNames(connectionSchema, path),
  });
  const found = [...problems, ...whole.problems, ...destination.problems].filter(({ path }) => path[0] !== "source");
  if (found.length > 0 || whole.output === null || destination.definition === null) {
    throw invalid(found.length > 0 ? found : whole.problems, (path) => raw.placeOf(path));
  }
  const { definition, configuration } = source;
  const secrets = definition === null ? [] : settingsOf(definition.configuration).filter(({ secret }) => secret);
  const isWhole = unasked.every(([, name]) => secrets.some((setting) => setting.name === name));
  const schema = definition !== null && configuration !== null && isWhole ? definition.schema(configuration) : "";
  return copySide(raw, { ...whole.output, schema: whole.output.schema ?? schema }, definition, {
    definition: destination.definition,
    configuration: destination.configuration,
  });
}

/** Files and commands may give whole settings of source and destination. */
function mayFetch([part, ...rest]: Path): boolean {
  return (part === "source" || part === "destination") && rest.length === 1;
}

function findSource(raw: RawConnection): (type: string) => Promise<SourceDefinition | Problem> {
  return async (type) =>
    isSourceFile(type) ? loadSource(type, raw.folders.destination) : known("source", sources, sourceName(type));
}

function copySide(
  { name, folders }: RawConnection,
  entry: ConnectionEntry,
  source: SourceDefinition | null,
  destination: ConfiguredConnection["destination"],
): CopySide {
  const { overrides } = entry;
  return {
    name: name ?? source?.name ?? "",
    otherNames: name === null ? (source?.kin ?? []) : [],
    home: folders.destination,
    destination,
    schema: entry.schema ?? "",
    selection: entry.tables,
    rename: each(overrides, ({ rename }) => rename),
    deletions: each(overrides, ({ deletion }) => deletion),
    deletion: entry.deletion,
    views: entry.views,
    systemColumnPrefix: entry.systemColumnPrefix,
    position: (next) => source?.position?.(next) ?? null,
  };
}

function engineSettings(entry: ConnectionEntry): Settings {
  return {
    deletes: entry.deletes,
    reread: entry.reread,
    maxDeleteFraction: entry.maxDeleteFraction,
    schemaChanges: entry.schemaChanges,
    parallel: entry.parallel,
    memoryBytes: entry.memory,
    batchBytes: entry.batchSize,
    commitMilliseconds: entry.commitInterval ?? defaultSettings.commitMilliseconds,
    followMilliseconds: entry.commitInterval ?? null,
    followInterval: entry.interval,
    commitRows: entry.commitRows ?? null,
    maxRowsPerSecond: entry.maxRowsPerSecond ?? null,
    attempts: entry.attempts,
  };
}

/** Applies `make` to each value. Names for which it returns `undefined` are left out. */
function each<Value, Made>(
  values: Readonly<Record<string, Value>>,
  make: (value: Value) => Made | undefined,
): Readonly<Record<string, Made>> {
  const made = Object.entries(values).map(([name, value]) => [name, make(value)] as const);
  return Object.fromEntries(made.filter((entry): entry is [string, Made] => entry[1] !== undefined));
}

/** Converts `source: postgresql://reader@localhost/shop` to a mapping. */
function withSourceMapping({ entry, placeOf }: RawConnection): Readonly<Record<string, unknown>> {
  const { source } = entry;
  if (typeof source !== "string" || !isAddress(source)) return entry;
  const { file, line, label } = placeOf(["source"]);
  const where = file === null ? "" : `${file}${line === null ? "" : `, line ${line}`}: `;
  return { ...entry, source: sourceFromAddress(source, `${where}${label}`) };
}

/** Converts `destination: duckdb:warehouse.duckdb` to a mapping. Its definition parses the address later. */
function withDestinationMapping(entry: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { destination } = entry;
  if (typeof destination !== "string") return entry;
  const colon = destination.indexOf(":");
  const type = colon < 0 ? destination : destination.slice(0, colon);
  return { ...entry, destination: { type, [address]: colon < 0 ? null : destination.slice(colon + 1) } };
}

/** The key for the part after `duckdb:`. As a symbol, it can't collide with a setting. */
const address = Symbol("address");

interface Connector<Definition> {
  readonly definition: Definition | null;
  readonly configuration: unknown;
  readonly problems: readonly Problem[];
}

type Definition = SourceDefinition | DestinationDefinition;

/** Loads the definition that `type` names, adds its secrets to the redactor, and checks its settings. */
async function connector<D extends Definition>(
  part: "source" | "destination",
  {
    raw,
    entry,
    fetched,
    redactor,
    environment,
  }: {
    readonly raw: RawConnection;
    readonly entry: Readonly<Record<string, unknown>>;
    readonly fetched: readonly Fetched[];
    readonly redactor: Redactor;
    readonly environment: NodeJS.ProcessEnv;
  },
  find: (type: string) => Promise<D | Problem>,
): Promise<Connector<D>> {
  const given = entry[part];
  // The schema of the whole entry reports a value that is not a mapping or has no type.
  if (typeof given !== "object" || given === null || !("type" in given)) return nothing([]);
  const { type, ...rest } = given;
  if (typeof type !== "string" || type === "") return nothing([]);
  const definition = await find(type);
  if ("remedy" in definition) return nothing([definition]);
  const settings = settingsOf(definition.configuration);
  const values = withAddress(definition, rest, { raw, part, settings, environment });
  const secrets = new Set(settings.filter((setting) => setting.secret).map((setting) => setting.name));
  for (const name of secrets) {
    if (typeof values[name] === "string") redactor.add(values[name]);
  }
  for (const { path, value } of fetched) {
    if (path[0] === part && secrets.has(String(path[1]))) redactor.add(value);
  }
  const { output, problems } = validate(definition.configuration, values, {
    at: [part],
    secrets,
    known: (path) => settingNames(definition.configuration, path),
  });
  if (output === null) return { definition, configuration: null, problems };
  return { definition, configuration: withPaths(output, settings, raw.folders[part]), problems: [] };
}

function nothing<D>(problems: readonly Problem[]): Connector<D> {
  return { definition: null, configuration: null, problems };
}

async function known<D>(
  part: "source" | "destination",
  registry: Readonly<Record<string, { load(): Promise<D> }>>,
  type: string,
): Promise<D | Problem> {
  return Object.hasOwn(registry, type) ? registry[type]!.load() : unknownKind(part, type, Object.keys(registry));
}

function unknownKind(part: "source" | "destination", type: string, known: readonly string[]): Problem {
  const meant = nearest(type, known);
  return {
    path: [part, "type"],
    message: `names an unknown ${part}: ${JSON.stringify(type)}`,
    remedy: meant === null ? `Choose one of ${known.join(", ")}.` : `Did you mean ${meant}?`,
  };
}

/** The settings of a connector. Text settings have their text from the file, so that `0123` stays `0123`. */
function withAddress(
  definition: Definition,
  given: Readonly<Record<string | symbol, unknown>>,
  {
    raw,
    part,
    settings,
    environment,
  }: {
    readonly raw: RawConnection;
    readonly part: string;
    readonly settings: readonly Setting[];
    readonly environment: NodeJS.ProcessEnv;
  },
): Readonly<Record<string, unknown>> {
  const behind = given[address];
  if (behind !== undefined && "fromAddress" in definition) {
    const values = behind === null || behind === "" ? {} : definition.fromAddress(String(behind), environment);
    return values as Readonly<Record<string, unknown>>;
  }
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const isText = settings.find((setting) => setting.name === name)?.type === "string";
      const text =
        isText && (typeof value === "number" || typeof value === "boolean") ? raw.textOf([part, name]) : null;
      return [name, text ?? value];
    }),
  );
}

/** Resolves relative paths from the folder of the configuration, independent of the current folder. */
function withPaths(output: unknown, settings: readonly Setting[], folder: string): unknown {
  if (typeof output !== "object" || output === null) return output;
  return Object.fromEntries(
    Object.entries(output).map(([name, value]) => {
      const path = settings.find((setting) => setting.name === name)?.path ?? "no";
      // An address instead of a path stays unchanged: s3://bucket, postgresql://host.
      if (typeof value !== "string" || path === "no" || value.includes("://")) return [name, value];
      const resolved = resolve(folder, value);
      return [name, path === "always" || existsSync(resolved) ? resolved : value];
    }),
  );
}

function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((part, index) => String(part) === String(b[index]));
}
