import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { built } from "./built.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Lock {
  readonly version: string;
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
}

/**
 * Packs the built package and installs the tarball, with the production packages of our own lockfile: just those that
 * the checkout was tested with, and that npm has in its cache.
 */
export async function installPacked(folder: string): Promise<void> {
  built("cli/main.js");
  await run(root, ...npm("pack", "--ignore-scripts", "--pack-destination", folder));
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"))!;
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as Lock;
  const dependencies = { headwaters: `file:${tarball}` };
  const production = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional }]) => path !== "" && !dev && !devOptional,
  );
  const { devDependencies: _, ...self } = lock.packages[""] as Record<string, unknown>;
  const packages = {
    "": { dependencies },
    "node_modules/headwaters": { ...self, resolved: `file:${tarball}` },
    ...Object.fromEntries(production),
  };
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  await writeFile(join(folder, "package-lock.json"), JSON.stringify({ ...lock, name: "elsewhere", packages }));
  await run(folder, ...npm("ci", "--prefer-offline", "--omit=dev", "--no-audit", "--no-fund"));
}

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
}

/** Rejects, with what was said, where the program fails. */
export function run(
  cwd: string,
  command: string,
  given: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...process.env, ...environment }, shell: process.platform === "win32" };
    execFile(command, given, options, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr });
      else reject(Object.assign(error, { stdout, stderr, message: `${error.message}\n${stdout}` }));
    });
  });
}

export function npm(...given: readonly string[]): [command: string, given: readonly string[]] {
  return ["npm", given];
}
