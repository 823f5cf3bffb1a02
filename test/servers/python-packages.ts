import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { MissingServer } from "./require.ts";

const run = promisify(execFile);

/** A Python that has some packages. */
export interface Python {
  readonly command: string;
  /** To be added to the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs a program to its end; resolves to what it writes. */
  run(program: string, ...given: readonly string[]): Promise<string>;
}

/**
 * Python packages with all they need, had from pip once and kept in the user's cache: `pyarrow==26.0.1`. Throws
 * `MissingServer` where they can't be had.
 */
export async function pythonPackages(...requirements: readonly string[]): Promise<Python> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "headwaters", "python");
  const folder = join(cache, createHash("md5").update(requirements.join("\n")).digest("hex"));
  const command = process.platform === "win32" ? "python" : "python3";
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true });
    const work = await mkdtemp(join(cache, "coming-"));
    try {
      await run(command, ["-m", "pip", "install", "--quiet", "--target", work, ...requirements], {
        maxBuffer: 64 << 20,
      });
      await rename(work, folder);
    } catch (error) {
      const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n").at(-1) : error;
      // Two processes may have fetched them at the same time.
      if (!existsSync(folder))
        throw new MissingServer(`${requirements.join(", ")} can't be had: ${said}`, { cause: error });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  const environment = { PYTHONPATH: folder };
  return {
    command,
    environment,
    async run(program, ...given) {
      const { stdout } = await run(command, ["-c", program, ...given], {
        env: { ...process.env, ...environment },
        maxBuffer: 64 << 20,
      });
      return stdout;
    },
  };
}
