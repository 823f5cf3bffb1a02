import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Outside of git; virtual environments are kept here from one bench to the next. */
export const cacheFolder = fileURLToPath(new URL("../.cache/bench", import.meta.url));

/** A virtual environment with some packages. */
export interface PythonEnvironment {
  /** The path of a program in it, as `python`. */
  program(name: string): string;
}

/** Makes a virtual environment, or takes the one of an earlier bench. Throws with pip's own last word. */
export async function pythonEnvironment(name: string, requirements: readonly string[]): Promise<PythonEnvironment> {
  const folder = join(cacheFolder, name);
  const [bin, suffix] = process.platform === "win32" ? ["Scripts", ".exe"] : ["bin", ""];
  const program = (called: string): string => join(folder, bin, called + suffix);
  const stamp = join(folder, "requirements.txt");
  const wanted = requirements.join("\n");
  if ((await readFile(stamp, "utf8").catch(() => null)) === wanted) return { program };
  await rm(folder, { recursive: true, force: true });
  await mkdir(cacheFolder, { recursive: true });
  try {
    await run(process.platform === "win32" ? "python" : "python3", ["-m", "venv", folder]);
    await run(program("python"), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...requirements], {
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().split("\n").at(-1) : "";
    throw new Error(said || String(error), { cause: error });
  }
  await writeFile(stamp, wanted);
  return { program };
}

/** What a program of an environment prints. */
export async function output(program: string, ...given: readonly string[]): Promise<string> {
  return (await run(program, given)).stdout.trim();
}
