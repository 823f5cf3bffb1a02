import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";
import { cachedFolder } from "./cached-folder.ts";

const run = promisify(execFile);

/** The largest of them takes eight minutes on two idle cores. In milliseconds. */
const mostBuilding = 3_600_000;

/** A program that Go builds once a machine. `path`: of its package. Throws `CONFIGURATION_INVALID` with what Go says. */
export async function goProgram(title: string, name: string, path: string, version: string): Promise<string> {
  try {
    const folder = await cachedFolder("go", `${name}-${version}`, (folder) =>
      run("go", ["install", `${path}@${version}`], {
        env: { ...process.env, GOBIN: folder },
        timeout: mostBuilding,
        maxBuffer: 64 << 20,
      }),
    );
    const program = path.slice(path.lastIndexOf("/") + 1);
    return join(folder, process.platform === "win32" ? `${program}.exe` : program);
  } catch (error) {
    // What Go has downloaded comes before the reason.
    const reason = error instanceof Error ? error.message.trim().split("\n").at(-1) : String(error);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${title} can't be built: ${reason}`, {
      hint: "Go builds it: install Go, and look whether it reaches its module proxy.",
      cause: error,
    });
  }
}
