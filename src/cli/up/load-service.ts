import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { asHeadwatersError } from "../../protocol/errors.ts";
import type { Loaded, LoadedConnection } from "../../service/host.ts";
import { errorReport } from "../../service/reports.ts";
import type { ServiceSettings } from "../../service/settings.ts";
import { selects } from "../../toolkit/patterns.ts";
import { withEnvFile } from "../configuration/env-file.ts";
import { defaultFile, readConnections, readFileOf, readSection } from "../configuration/load.ts";
import {
  type ConfiguredConnection,
  placeOfCopies,
  type RawConnection,
  resolveConnection,
} from "../configuration/resolve.ts";
import { resolveService } from "../configuration/service-schema.ts";
import type { Redactor } from "../redact.ts";

/** Where the file of connections is, and what the command line says besides it. */
export interface Given {
  readonly file: string | undefined;
  readonly folder: string;
  readonly variables: NodeJS.ProcessEnv;
  readonly redactor: Redactor;
  readonly flags: Partial<Pick<ServiceSettings, "concurrency" | "memoryBytes">>;
}

/** The folder of the file of connections. */
export function homeOf({ file = defaultFile, folder }: Pick<Given, "file" | "folder">): string {
  return dirname(resolve(folder, file));
}

/** The file of connections and its environment, as text. */
export async function textOf(given: Given): Promise<string> {
  const text = await readFileOf(requestOf(given), given.folder);
  const environment = await readFile(join(homeOf(given), ".env"), "utf8").catch(() => "");
  return `${text}\n${environment}`;
}

/** Reads the settings of the service as a whole. */
export async function loadSettings(given: Omit<Given, "flags">): Promise<ServiceSettings> {
  const { settings } = await readSettings(given, await readFileOf(requestOf(given), given.folder));
  return settings;
}

async function readSettings(
  given: Omit<Given, "flags">,
  text: string,
): Promise<{ readonly settings: ServiceSettings; readonly variables: NodeJS.ProcessEnv }> {
  const home = homeOf(given);
  const variables = await withEnvFile(home, given.variables);
  const settings = await resolveService(
    readSection("service", requestOf(given), text),
    home,
    variables,
    given.redactor,
  );
  return { settings, variables };
}

/** Reads the file of connections. A connection whose settings are wrong has its error. */
export async function loadService(given: Given): Promise<Loaded> {
  const { folder, redactor, flags } = given;
  const request = requestOf(given);
  const text = await readFileOf(request, folder);
  const { settings, variables } = await readSettings(given, text);
  const connections: LoadedConnection[] = [];
  for (const raw of await readConnections(request, { folder, text })) {
    try {
      connections.push(told(raw, await resolveConnection(raw, variables, redactor), redactor));
    } catch (thrown) {
      connections.push(broken(raw, thrown, redactor));
    }
  }
  return {
    configuration: { file: request.file ?? defaultFile, folder, text },
    settings: { ...settings, ...flags },
    connections,
  };
}

function requestOf({ file }: Pick<Given, "file">): { names: readonly string[]; file?: string } {
  return file === undefined ? { names: [] } : { names: [], file };
}

function told(raw: RawConnection, connection: ConfiguredConnection, redactor: Redactor): LoadedConnection {
  const { name, source, destination, selection, service } = connection;
  const place = placeOf(destination.configuration as Settings);
  return {
    name,
    source: { type: source.definition.name, title: source.definition.title },
    destination: {
      type: destination.definition.name,
      title: destination.definition.title,
      place: redactor.text(beside(connection.home, place)),
    },
    copies: placeOfCopies(connection),
    worker: JSON.stringify([destination.definition.name, place]),
    schedule: service.schedule ?? null,
    isHandedOver: false,
    verify: service.verify ?? null,
    freshness: service.freshness ?? null,
    together: source.definition.capabilities.together === true,
    selects: (table) => selects(selection, table),
    error: null,
    version: createHash("sha256").update(JSON.stringify(raw.entry)).digest("hex"),
  };
}

/** What is known of a connection whose settings are wrong. */
function broken(raw: RawConnection, thrown: unknown, redactor: Redactor): LoadedConnection {
  const error = asHeadwatersError(thrown);
  const typeOf = (side: unknown): string => {
    const type = typeof side === "object" && side !== null ? (side as Settings)["type"] : side;
    return typeof type === "string" ? (type.split(":")[0] ?? "") : "";
  };
  const [source, destination] = [typeOf(raw.entry["source"]), typeOf(raw.entry["destination"])];
  return {
    name: raw.name ?? source,
    source: { type: source, title: source },
    destination: { type: destination, title: destination, place: "" },
    copies: "",
    worker: "",
    schedule: null,
    isHandedOver: false,
    verify: null,
    freshness: null,
    together: false,
    selects: () => true,
    error: { ...errorReport(error), message: redactor.text(error.message) },
    version: "",
  };
}

type Settings = Readonly<Record<string, unknown>>;

/** Where a destination is, for people; equal for connections that share it. */
function placeOf(settings: Settings): string {
  const { path, catalog, host, port, database } = settings;
  if (typeof catalog === "string") return catalog;
  if (typeof path === "string") return real(path);
  return `${String(host)}:${String(port)}/${String(database)}`;
}

/** Files beside the file of connections are shown by their names only. */
function beside(home: string, place: string): string {
  const folder = `${real(home)}${sep}`;
  return place.startsWith(folder) ? place.slice(folder.length) : place;
}

/** Several paths may lead to one file. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It does not exist yet, but its folder may.
    try {
      return join(realpathSync(dirname(path)), path.slice(path.lastIndexOf("/") + 1));
    } catch {
      return path;
    }
  }
}
