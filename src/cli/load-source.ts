import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { HeadwatersError } from "../protocol/errors.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import { sourceName, sources } from "../sources/index.ts";
import { nearest } from "../toolkit/nearest.ts";

/** Whether a source is named by its file: `./weather.ts`, not `yugabytedb`. */
export function isSourceFile(name: string): boolean {
  return /[\\/]|\.[cm]?[jt]s$/.test(name);
}

/**
 * The source of a name in the registry, or that a file exports as its default; relative paths are meant from `folder`.
 * Throws `CONFIGURATION_INVALID` where there is none.
 */
export async function loadSource(nameOrPath: string, folder = process.cwd()): Promise<SourceDefinition> {
  if (isSourceFile(nameOrPath)) return loadFile(nameOrPath, resolve(folder, nameOrPath));
  const name = sourceName(nameOrPath);
  if (Object.hasOwn(sources, name)) return sources[name]!.load();
  const meant = nearest(nameOrPath, Object.keys(sources));
  throw new HeadwatersError("CONFIGURATION_INVALID", `there is no source ${JSON.stringify(nameOrPath)}`, {
    hint:
      meant === null
        ? `There is ${Object.keys(sources).join(", ")}; or give the file of one, as ./my-source.ts.`
        : `Did you mean ${meant}?`,
  });
}

async function loadFile(given: string, path: string): Promise<SourceDefinition> {
  if (!existsSync(path)) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `the source ${given} does not exist`, {
      hint: `Name a file that exports a source; "headwaters init source my-source" writes one.`,
    });
  }
  const definition = await evaluate(given, path);
  if (isDefinition(definition)) return definition;
  throw new HeadwatersError("CONFIGURATION_INVALID", `${given} does not export a source as its default`, {
    hint: "Write: export default defineSource({ … }).",
  });
}

/**
 * Node 20 runs no TypeScript, and later ones not all of it: jiti does. `import … from "headwaters"` gives the very
 * modules of this process, so that a source works without an installation beside it, and errors are of one class.
 */
async function evaluate(given: string, path: string): Promise<unknown> {
  const [{ createJiti }, sdk] = await Promise.all([import("jiti"), import("../sdk/index.ts")]);
  const jiti = createJiti(pathToFileURL(path).href, {
    virtualModules: { headwaters: sdk },
    // Stacks then name the lines of the source.
    transformOptions: { retainLines: true },
  });
  try {
    return await jiti.import(path, { default: true });
  } catch (thrown) {
    if (thrown instanceof HeadwatersError) throw thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${given} can't be loaded: ${message}`, {
      hint: "The code of the source threw this error: --log-level debug shows where.",
      cause: thrown,
    });
  }
}

function isDefinition(value: unknown): value is SourceDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    ["name", "configuration", "capabilities", "open"].every((part) => part in value)
  );
}
