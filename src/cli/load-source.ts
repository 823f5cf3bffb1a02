import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { HeadwatersError } from "../protocol/errors.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import { sourceName, sources } from "../sources/index.ts";
import { nearest } from "../toolkit/nearest.ts";

/** Whether a source is given as a file: `./weather.ts`, not `yugabytedb`. */
export function isSourceFile(name: string): boolean {
  return /[\\/]|\.[cm]?[jt]s$/.test(name);
}

/**
 * Loads a source by its name in the registry, or from a file that exports it as its default. Relative paths start at
 * `folder`. Throws `CONFIGURATION_INVALID` if there is no such source.
 */
export async function loadSource(nameOrPath: string, folder = process.cwd()): Promise<SourceDefinition> {
  if (isSourceFile(nameOrPath)) return loadFile(nameOrPath, resolve(folder, nameOrPath));
  const name = sourceName(nameOrPath);
  if (Object.hasOwn(sources, name)) return sources[name]!.load();
  const meant = nearest(nameOrPath, Object.keys(sources));
  throw new HeadwatersError("CONFIGURATION_INVALID", `there is no source ${JSON.stringify(nameOrPath)}`, {
    hint:
      meant === null
        ? `Choose one of ${Object.keys(sources).join(", ")}, or give the file of a source, such as ./my-source.ts.`
        : `Did you mean ${meant}?`,
  });
}

async function loadFile(given: string, path: string): Promise<SourceDefinition> {
  if (!existsSync(path)) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `the source ${given} does not exist`, {
      hint: `Name a file that exports a source. "headwaters init source my-source" creates one.`,
    });
  }
  if (!statSync(path).isFile()) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `the source ${given} is a folder`, {
      hint: `Name the file in it that exports the source, such as ${join(given, "source.ts")}.`,
    });
  }
  const definition = await evaluate(given, path);
  if (isDefinition(definition)) return definition;
  throw new HeadwatersError("CONFIGURATION_INVALID", `${given} does not export a source as its default`, {
    hint: "Write: export default defineSource({ … }).",
  });
}

/**
 * Loads TypeScript by jiti, because Node 20 can't run it, and later versions can't run all of it. `import … from
 * "headwaters"` gives the modules of this process, so that a source works without its own installation of Headwaters,
 * and errors have the same class.
 */
async function evaluate(given: string, path: string): Promise<unknown> {
  const [{ createJiti }, sdk] = await Promise.all([import("jiti"), import("../sdk/index.ts")]);
  const jiti = createJiti(pathToFileURL(path).href, {
    virtualModules: { headwaters: sdk },
    // With this, stack traces have the line numbers of the source.
    transformOptions: { retainLines: true },
  });
  try {
    return await jiti.import(path, { default: true });
  } catch (thrown) {
    if (thrown instanceof HeadwatersError) throw thrown;
    // A loader adds the files that required a module, line by line.
    const [message = ""] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n");
    const absent = /^\(0 ?, _headwaters\.(\w+)\) is not a function/.exec(message)?.[1];
    if (absent !== undefined) throw notExported(given, absent, Object.keys(sdk), thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${given} can't be loaded: ${message}`, {
      hint: importHint(message) ?? "The code of the source threw this error: --log-level debug shows where.",
      cause: thrown,
    });
  }
}

/** A name that our module does not have is `undefined` to the source, whose call of it fails. */
function notExported(given: string, name: string, names: readonly string[], cause: unknown): HeadwatersError {
  const meant = nearest(name, names);
  return new HeadwatersError(
    "CONFIGURATION_INVALID",
    `${given} can't be loaded: "headwaters" exports no ${JSON.stringify(name)}`,
    { hint: meant === null ? `It exports ${names.join(", ")}.` : `Did you mean ${meant}?`, cause },
  );
}

/** The hint if a module is missing that the source imports; `null`: another error. */
function importHint(message: string): string | null {
  const name = /^Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1];
  if (name === undefined) return null;
  if (/^[./]|^file:|^[A-Za-z]:/.test(name)) return "Check the path in its import: the file does not exist.";
  const [scope, rest] = name.split("/");
  return `Install it beside the source: npm install ${scope!.startsWith("@") ? `${scope}/${rest}` : scope}`;
}

function isDefinition(value: unknown): value is SourceDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    ["name", "configuration", "capabilities", "open"].every((part) => part in value)
  );
}
