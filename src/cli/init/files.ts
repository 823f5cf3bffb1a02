import { existsSync } from "node:fs";
import { appendFile, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { parseEnv } from "node:util";
import { HeadwatersError } from "../../protocol/errors.ts";
import { recordFolder } from "../attempts.ts";
import { withEnvFile } from "../configuration/env-file.ts";
import { literal, sampleFile, variableOf } from "../configuration/sample.ts";
import { settingsOf } from "../configuration/settings.ts";
import { packagedSchema } from "../package-manifest.ts";
import type { Answers, Side, Values } from "./dialogue.ts";

/** What was written beside the file of connections, and what must still be set. */
export interface Written {
  /** Variables whose values were written to `.env`. */
  readonly secrets: readonly string[];
  /** Variables that the file uses and that are not set. */
  readonly unset: readonly string[];
}

export function assertAbsent(path: string, file: string): void {
  if (!existsSync(path)) return;
  throw new HeadwatersError("CONFIGURATION_INVALID", `${file} exists already; nothing was changed.`, {
    hint: "Name another file with --file, or move this one away first.",
  });
}

/**
 * Writes a file of connections. Secrets go to `.env` beside it, which git is told to ignore. Settings that are required
 * and not given are taken from environment variables. `file`: the path as the user wrote it.
 */
export async function writeConnection(
  path: string,
  file: string,
  { name, source, destination, tables }: Omit<Answers, "estimatedRows">,
  environment: NodeJS.ProcessEnv,
): Promise<Written> {
  const folder = dirname(path);
  const known = await withEnvFile(folder, environment);
  const sides = [
    written(source, [source.definition.name, `${name}_${source.definition.name}`], known),
    written(destination, ["warehouse", `${name}_warehouse`], known),
  ] as const;
  const schema = schemaFor(folder);
  const [one, other] = sides.map(({ values }) => values) as [Values, Values];
  const text = sampleFile(
    name,
    { definition: source.definition, values: one },
    { definition: destination.definition, values: other },
    tables,
    schema.address,
  );
  const secrets = Object.assign({}, ...sides.map((side) => side.secrets)) as Values;
  const lines = Object.entries(secrets)
    .filter(([variable, value]) => known[variable] !== value)
    .map(([variable, value]) => `${variable}=${quoted(variable, value)}\n`);
  try {
    // Only the owner may read the file, because users may write a password into it.
    await writeFile(path, text, { flag: "wx", mode: 0o600 });
    if (lines.length > 0) {
      await ignore(folder, ".env");
      await appendFile(join(folder, ".env"), lines.join(""), { mode: 0o600 });
    }
    if (schema.copied) {
      await mkdir(dirname(join(folder, schema.address)), { recursive: true, mode: 0o700 });
      await copyFile(packagedSchema, join(folder, schema.address));
    }
    return { secrets: Object.keys(secrets), unset: sides.flatMap((side) => side.unset) };
  } catch (error) {
    const { code = String(error), path: where = path } = error as NodeJS.ErrnoException;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${where === path ? file : where} can't be written (${code}).`, {
      hint: "Check the folder and its permissions, or name another file with --file.",
      cause: error,
    });
  }
}

/** The settings of a side as they stand in the file. `prefixes` of names of variables: the first that is free counts. */
function written(
  { definition, values }: Side,
  prefixes: readonly string[],
  known: NodeJS.ProcessEnv,
): { readonly values: Values; readonly secrets: Values; readonly unset: readonly string[] } {
  const inFile: Record<string, string> = {};
  const secrets: Record<string, string> = {};
  const unset: string[] = [];
  for (const { name, required, secret } of settingsOf(definition.configuration)) {
    const value = values[name];
    const names = prefixes.map((prefix) => variableOf(prefix, name));
    if (value === undefined) {
      if (!required) continue;
      const [variable] = names;
      inFile[name] = name === "host" ? `\${${variable}:-localhost}` : `\${${variable}}`;
      if (name !== "host" && known[variable!] === undefined) unset.push(variable!);
    } else if (secret && value !== "") {
      const variable = names.find((one) => known[one] === undefined || known[one] === value) ?? names.at(-1)!;
      inFile[name] = `\${${variable}}`;
      secrets[variable] = value;
    } else inFile[name] = literal(value);
  }
  return { values: inFile, secrets, unset };
}

/** A value as `parseEnv` of Node.js reads it back: there is no way to write a quotation mark within its own kind. */
function quoted(name: string, value: string): string {
  for (const mark of ["'", '"', "`"]) {
    const text = `${mark}${value}${mark}`;
    if (!value.includes(mark) && parseEnv(`${name}=${text}`)[name] === value) return text;
  }
  throw new HeadwatersError("CONFIGURATION_INVALID", `the value of ${name} can't be written to .env.`, {
    hint: `Set ${name} in the environment first; it is then read from there.`,
  });
}

/** Adds a line to `.gitignore`, if git looks after the folder. */
async function ignore(folder: string, name: string): Promise<void> {
  let at = folder;
  while (!existsSync(join(at, ".git"))) {
    if (dirname(at) === at) return;
    at = dirname(at);
  }
  const path = join(folder, ".gitignore");
  const before = existsSync(path) ? await readFile(path, "utf8") : "";
  if (before.split(/\r?\n/).includes(name)) return;
  await appendFile(path, `${before === "" || before.endsWith("\n") ? "" : "\n"}${name}\n`);
}

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
