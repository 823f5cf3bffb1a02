import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { HeadwatersError } from "../../protocol/errors.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { isSourceFile } from "../load-source.ts";
import { type Document, parseJson, parseYaml, type Path } from "./document.ts";
import { type Place } from "./problems.ts";
import { isAddress, sourceFromAddress } from "./source-address.ts";
import type { RawConnection } from "./resolve.ts";

/** The default file of connections. */
export const defaultFile = "headwaters.yaml";

/** The default destination of a connection that is described by flags. */
export const defaultDestination = "duckdb:warehouse.duckdb";

/** The connections of a command: those of a file, or the one that the command line describes. */
export interface Request {
  /** Names of connections in the file; empty: all. With `source`: the connection's name. */
  readonly names: readonly string[];
  readonly file?: string;
  readonly source?: string;
  readonly configuration?: string;
  readonly destination?: string;
  readonly schema?: string;
  readonly tables?: readonly string[];
  readonly exclude?: readonly string[];
  readonly deletes?: string;
  readonly parallel?: string;
}

export interface LoadContext {
  /** The current folder. */
  readonly folder: string;
  /** What is in the file of connections, if it was read before. */
  readonly text?: string;
}

/** Reads connections, in the order of the request's names, or else of the file. Their settings are not checked yet. */
export async function readConnections(request: Request, context: LoadContext): Promise<readonly RawConnection[]> {
  return fixedForm(request) ? [await fromFlags(request, context)] : await fromFile(request, context);
}

function fixedForm({ source, configuration, destination, schema }: Request): boolean {
  return [source, configuration, destination, schema].some((flag) => flag !== undefined);
}

/** `--source yugabytedb --configuration configuration.json --destination duckdb:warehouse.duckdb` */
async function fromFlags(request: Request, { folder }: LoadContext): Promise<RawConnection> {
  const { source, configuration, destination = defaultDestination, schema, tables, names, file } = request;
  const usage = "Write: --source yugabytedb --configuration configuration.json --destination duckdb:warehouse.duckdb";
  const wrong = (message: string, hint = usage): HeadwatersError =>
    new HeadwatersError("CONFIGURATION_INVALID", message, { hint });
  if (file !== undefined) {
    throw wrong(
      "--file can't be used with --source, --configuration, --destination or --schema.",
      "Leave one of the two out.",
    );
  }
  if (source === undefined) throw wrong("--source is missing.");
  const fromAddress = isAddress(source) ? sourceFromAddress(source, "--source") : null;
  if (configuration === undefined && fromAddress === null && !isSourceFile(source))
    throw wrong(
      "--configuration is missing: the file with the source's settings.",
      `${usage}; or give an address: postgresql://reader@localhost/shop, redis://localhost.`,
    );
  if (names.length > 1) throw wrong(`With --source there is one connection, not ${names.length}: ${names.join(", ")}.`);
  // A source from a file may have no settings.
  const text = configuration === undefined ? "{}" : await read(resolve(folder, configuration), configuration, wrong);
  const document = parseJson(text, configuration ?? "");
  if (!isMapping(document.value)) throw wrong(`${configuration} must hold the source's settings as a JSON object.`);
  if ("type" in document.value) throw wrong(`${configuration}: type is not a setting here; --source gives it.`);
  // In the published examples, an empty setting means "none".
  const settings = Object.entries(document.value).filter(([, value]) => value !== "");
  const entry = {
    source: { ...Object.fromEntries(settings), type: source, ...fromAddress },
    destination,
    ...(schema === undefined ? {} : { schema }),
    ...(tables === undefined ? {} : { tables: { include: tables } }),
  };
  return withFlags(request, {
    name: names[0] ?? null,
    entry,
    folders: { source: dirname(resolve(folder, configuration ?? "")), destination: folder },
    placeOf([part, ...rest]) {
      if (part === "source" && rest.length > 0 && rest[0] !== "type") {
        const flag = fromAddress === null ? "--configuration" : "--source";
        if (configuration === undefined) return { label: `${flag}: ${rest.join(".")}`, file: null, line: null };
        return { label: rest.join("."), file: configuration, line: document.line(rest) };
      }
      const label = rest.length > 0 && rest[0] !== "type" ? `${part}, ${rest.join(".")}` : String(part);
      return { label: `--${label}`, file: null, line: null };
    },
    textOf: ([, ...rest]) => document.text(rest),
  });
}

/** The text of the file of connections. */
export async function readFileOf({ file = defaultFile }: Pick<Request, "file">, folder: string): Promise<string> {
  return read(resolve(folder, file), file, missingFile);
}

/** The settings under a name beside `connections`, as they are in the file; if absent, an empty mapping. */
export function readSection(
  section: "service" | "temporal",
  { file = defaultFile }: Pick<Request, "file">,
  text: string,
): RawSection {
  const document = parseYaml(text, file);
  connectionsOf(document);
  return {
    value: (document.value as Readonly<Record<string, unknown>>)[section] ?? {},
    placeOf: (path) => ({ label: path.join("."), file, line: document.line(path) }),
  };
}

export interface RawSection {
  readonly value: unknown;
  placeOf(path: Path): Place;
}

async function fromFile(request: Request, { folder, text }: LoadContext): Promise<readonly RawConnection[]> {
  const file = request.file ?? defaultFile;
  const document = parseYaml(text ?? (await readFileOf(request, folder)), file);
  const connections = connectionsOf(document);
  const all = Object.keys(connections);
  const unknown = request.names.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, all);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${file} has no connection "${unknown}".`, {
      hint: meant === null ? `It has ${all.join(", ")}.` : `Did you mean ${meant}?`,
    });
  }
  const names = request.names.length === 0 ? all : [...new Set(request.names)];
  const beside = dirname(resolve(folder, file));
  return names.map((name) => {
    const at = (path: Path): Path => ["connections", name, ...path];
    const entry = connections[name];
    if (!isMapping(entry)) {
      const line = document.line(at([]));
      throw new HeadwatersError(
        "CONFIGURATION_INVALID",
        `${file}, line ${line}: connections.${name} must hold a source and a destination.`,
        { hint: `Compare it with what "headwaters init" writes.` },
      );
    }
    return withFlags(request, {
      name,
      entry,
      folders: { source: beside, destination: beside },
      placeOf: (path) => ({ label: at(path).join("."), file, line: document.line(at(path)) }),
      textOf: (path) => document.text(at(path)),
    });
  });
}

function missingFile(message: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", message, {
    hint: `Create it with "headwaters init", name another with --file, or describe the connection with --source, --configuration and --destination.`,
  });
}

const settings: readonly string[] = ["connections", "service", "temporal"];

function connectionsOf({ value, file, line }: Document): Readonly<Record<string, unknown>> {
  const wrong = (message: string, hint: string): HeadwatersError =>
    new HeadwatersError("CONFIGURATION_INVALID", `${file}${message}`, { hint });
  const example = `Write "connections:", and below it, indented, a name for each connection; "headwaters init" writes an example.`;
  if (!isMapping(value)) throw wrong(" holds no settings.", example);
  const stranger = Object.keys(value).find((name) => !settings.includes(name));
  if (stranger !== undefined) {
    const meant = nearest(stranger, settings);
    const hint = meant === null ? example : `Did you mean ${meant}?`;
    throw wrong(`, line ${line([stranger])}: ${stranger} is not a setting.`, hint);
  }
  const { connections } = value;
  if (!isMapping(connections) || Object.keys(connections).length === 0) throw wrong(" has no connections.", example);
  const odd = Object.keys(connections).find((name) => !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name));
  if (odd !== undefined) {
    const where = `, line ${line(["connections", odd])}: the connection name ${JSON.stringify(odd)}`;
    throw wrong(`${where} can't be used.`, "Use only letters, digits, _, . and - in a name.");
  }
  return connections;
}

/** Replaces settings of the file by flags of the command line. Problems with such a setting name the flag. */
function withFlags({ deletes, parallel, exclude }: Request, raw: RawConnection): RawConnection {
  const flags: Readonly<Record<string, unknown>> = Object.fromEntries(
    Object.entries({ deletes, parallel }).filter(([, value]) => value !== undefined),
  );
  const entry: RawConnection["entry"] = {
    ...raw.entry,
    ...flags,
    ...(deletes === undefined ? {} : { overrides: undeleted(raw.entry) }),
  };
  return {
    ...raw,
    entry: exclude === undefined ? entry : { ...entry, tables: excluding(entry["tables"], exclude) },
    placeOf(path): Place {
      const [part] = path;
      return typeof part === "string" && part in flags
        ? { label: `--${part}`, file: null, line: null }
        : raw.placeOf(path);
    },
  };
}

/** Removes `deletes` from the settings for individual tables, because `--deletes` is for all tables. */
function undeleted({ overrides }: RawConnection["entry"]): unknown {
  if (!isMapping(overrides)) return overrides;
  const without = Object.entries(overrides).map(([table, override]) => {
    if (!isMapping(override)) return [table, override];
    const { deletes: _, ...rest } = override;
    return [table, rest];
  });
  return Object.fromEntries(without);
}

/** A selection that also excludes `names`. A selection of a wrong shape stays unchanged: its schema reports it. */
function excluding(tables: unknown, names: readonly string[]): unknown {
  if (tables === undefined) return { exclude: names };
  if (Array.isArray(tables)) return { include: tables, exclude: names };
  if (!isMapping(tables)) return tables;
  const { exclude = [] } = tables;
  return Array.isArray(exclude) ? { ...tables, exclude: [...exclude, ...names] } : tables;
}

async function read(path: string, named: string, wrong: (message: string) => HeadwatersError): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "does not exist",
      EISDIR: "is a folder",
      EACCES: "may not be read by this user",
    };
    throw wrong(`${named} ${reasons[code] ?? `can't be read (${code})`}.`);
  }
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
