import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scopesOf } from "../engine/selection/scope.ts";
import type { Json } from "../protocol/json.ts";
import type { Log } from "../protocol/log.ts";
import type { Source } from "../protocol/source.ts";
import { type SyncOptions, takeOptions } from "./options.ts";
import type { ServedSetting, ServedSource } from "./served-source.ts";

/** The source of a request, open, with its options. */
export interface OpenSource extends AsyncDisposable {
  readonly source: Source;
  readonly options: SyncOptions;
  readonly scope: Json;
  readonly sameScopes: readonly Json[];
  /** The name of its one schema. */
  readonly schema: string;
}

/** Opens the source that a form describes. Throws `CONFIGURATION_INVALID`. */
export async function openSource(
  served: ServedSource,
  given: Readonly<Record<string, string>>,
  log: Log,
  signal: AbortSignal,
): Promise<OpenSource> {
  const { definition } = served;
  // An empty field means that it was not set.
  const filled = Object.fromEntries(Object.entries(given).filter(([, value]) => value.trim() !== ""));
  const { options, rest } = takeOptions(definition.name, filled);
  const files = new Files();
  try {
    const values: Record<string, unknown> = {};
    for (const [name, text] of Object.entries(rest)) {
      const setting = served.settings.find((candidate) => candidate.name === name);
      if (setting?.secret === true) served.hide(text);
      values[name] = setting?.file === true ? await files.put(name, text, served) : valueOf(text, setting);
    }
    const configuration = served.configure(values);
    const { types } = options;
    const source = await definition.open(configuration, { log, tables: {}, types, signal });
    return {
      source,
      options,
      ...scopesOf(definition, configuration),
      schema: definition.schema(configuration),
      async [Symbol.asyncDispose]() {
        try {
          await source[Symbol.asyncDispose]();
        } finally {
          await files[Symbol.asyncDispose]();
        }
      },
    };
  } catch (error) {
    await files[Symbol.asyncDispose]();
    throw error;
  }
}

/** The value of a field, which is always text, as far as the type of the setting shows it. */
function valueOf(text: string, setting: ServedSetting | undefined): unknown {
  const type = setting?.type ?? null;
  if (type === "string") return text;
  if (type === "integer" || type === "number") return Number.isFinite(Number(text)) ? Number(text) : text;
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  return /^\s*[[{]/.test(text) ? parsed(text) : text;
}

/** Lists and mappings are given as JSON. If the text is none, the validation of the setting reports it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Files that were given by their content, written to a temporary folder. */
class Files implements AsyncDisposable {
  #folder: string | null = null;

  /** Resolves to the file's path. A text that is no certificate or key is taken as a path. */
  async put(name: string, text: string, served: ServedSource): Promise<string> {
    const content = pemOf(text);
    if (content === null) return text;
    if (content.includes("PRIVATE KEY")) served.hide(content);
    this.#folder ??= await mkdtemp(join(tmpdir(), "headwaters-"));
    const path = join(this.#folder, `${name}.pem`);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }
}

/** PEM, which forms may pass on in base64. */
function pemOf(text: string): string | null {
  const decoded = Buffer.from(text, "base64").toString();
  return [text, decoded].find((candidate) => candidate.includes("-----BEGIN ")) ?? null;
}
