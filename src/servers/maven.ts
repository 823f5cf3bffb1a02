import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";
import { cachedFolder } from "./cached-folder.ts";

const run = promisify(execFile);

/** Cassandra's jars are about 70 MB; they are downloaded once. */
const downloadMilliseconds = 600_000;

/**
 * The folder with the jars of some artifacts (`group:artifact:version`) and of their dependencies. They are downloaded
 * from Maven's repository once and kept in the user's cache. Throws `CONFIGURATION_INVALID` if Java or Maven is
 * missing, or the repository can't be reached.
 */
export async function mavenFolder(name: string, artifacts: readonly string[], signal?: AbortSignal): Promise<string> {
  await demand("java", ["-version"], "Java 17", signal);
  return cachedFolder("jars", name, async (folder) => {
    await demand("mvn", ["-version"], "Maven", signal);
    const pom = join(folder, "pom.xml");
    await writeFile(pom, pomOf(artifacts));
    try {
      const goal = ["-q", "-B", "dependency:copy-dependencies", `-DoutputDirectory=${folder}`];
      await run("mvn", goal, { cwd: folder, timeout: downloadMilliseconds, ...shared(signal) });
    } catch (error) {
      signal?.throwIfAborted();
      const said = error instanceof Error && "stdout" in error ? String(error.stdout).trim().split("\n")[0] : error;
      throw new HeadwatersError("CONFIGURATION_INVALID", `the jars of ${name} can't be downloaded: ${said}`, {
        hint: "Check whether mvn can reach its repository.",
        cause: error,
      });
    }
    await rm(pom);
  });
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project><modelVersion>4.0.0</modelVersion><groupId>headwaters</groupId><artifactId>jars</artifactId><version>1</version><dependencies>${dependencies.join("")}</dependencies></project>`;
}

async function demand(program: string, args: readonly string[], what: string, signal?: AbortSignal): Promise<void> {
  try {
    await run(program, args, shared(signal));
  } catch (error) {
    signal?.throwIfAborted();
    throw new HeadwatersError("CONFIGURATION_INVALID", `${what} is not installed (${program} can't be run)`, {
      hint: `Install ${what}, or name a running server.`,
      cause: error,
    });
  }
}

/** On Windows `mvn` is a batch file, and only a shell can run it. */
function shared(signal: AbortSignal | undefined): { shell: boolean; windowsHide: true; signal?: AbortSignal } {
  return { shell: process.platform === "win32", windowsHide: true, ...(signal === undefined ? {} : { signal }) };
}
