import { existsSync } from "node:fs";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { Command } from "commander";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Outcome } from "../exit-codes.ts";
import { examples, withOutputOptions } from "../options.ts";
import { packageFolder, packageManifest } from "../package-manifest.ts";
import { type OutputOptions, runCommand, type Session } from "../session.ts";
import type { Environment } from "../environment.ts";
import { scaffoldFiles } from "./files.ts";

export function initSourceCommand(environment: Environment): Command {
  const command = new Command("source")
    .summary("begin a source of your own")
    .description(
      "Creates a folder with a source in TypeScript. The source works, has types, and has a test with the suite for all sources. Change it for your system.",
    )
    .argument("<name>", "of the source, its package and its folder");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["init source weather", "writes weather/source.ts and its other files"],
        ["run weather/source.ts", "syncs it into warehouse.duckdb"],
      ),
    )
    .action((name: string, flags: OutputOptions) =>
      runCommand(environment, flags, (session) => initSource(session, name)),
    );
}

async function initSource({ environment, output, json, quiet, tell }: Session, name: string): Promise<Outcome> {
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `a source can't be named ${JSON.stringify(name)}`, {
      hint: "A name may only have lowercase letters, digits, - and _, and begins with a letter.",
    });
  }
  const folder = resolve(environment.folder, name);
  const { version, devDependencies } = packageManifest();
  const files = scaffoldFiles({
    name,
    versions: {
      // A clone of the repository may be of a version that no registry has.
      headwaters: existsSync(join(packageFolder, "src")) ? `file:${packageFolder}` : `^${version}`,
      typescript: devDependencies["typescript"]!,
      vitest: devDependencies["vitest"]!,
    },
  });
  await mustBeEmpty(folder, name);
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text, { flag: "wx" });
  }
  await linkPackage(folder);
  if (json) tell(null, { kind: "init", folder: name, files: Object.keys(files) });
  if (json || quiet) return "ok";
  output.line(`Wrote ${Object.keys(files).join(", ")} in ${name}/.`);
  output.line(`Then: cd ${name}, npm install, npm test, npm start.`);
  return "ok";
}

/** Lets editors and the compiler find our types before anything is installed: `npm install` puts the package in its place. */
async function linkPackage(folder: string): Promise<void> {
  try {
    createRequire(join(folder, "source.ts")).resolve("headwaters/package.json");
  } catch {
    await mkdir(join(folder, "node_modules"));
    await symlink(packageFolder, join(folder, "node_modules", "headwaters"), "junction");
  }
}

/** Creates the folder. Throws if the folder has files. */
async function mustBeEmpty(folder: string, name: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    if ((await readdir(folder)).length === 0) return;
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    throw new HeadwatersError("CONFIGURATION_INVALID", `the folder ${name} can't be made (${code})`, {
      hint: "Check the folder around it and its permissions.",
      cause: thrown,
    });
  }
  throw new HeadwatersError("CONFIGURATION_INVALID", `the folder ${name} has files already; nothing was changed`, {
    hint: "Choose another name, or move the folder away first.",
  });
}
