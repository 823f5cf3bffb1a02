import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { HeadwatersError } from "../protocol/errors.ts";

const run = promisify(execFile);

/** About 70 MB come, once. */
const downloadMilliseconds = 600_000;

/**
 * The folder with Cassandra's jars and all that they need. They are had from Maven's repository once and kept in the
 * user's cache. Throws `CONFIGURATION_INVALID` where there is no Java or no Maven, or the repository can't be reached.
 */
export async function cassandraJars(version: string, signal?: AbortSignal): Promise<string> {
  return mavenFolder(`cassandra-${version}`, [`org.apache.cassandra:cassandra-all:${version}`], signal);
}

/** The folder with the jars of some artifacts (`group:artifact:version`) and of what they depend on. */
export async function mavenFolder(name: string, artifacts: readonly string[], signal?: AbortSignal): Promise<string> {
  await demand("java", ["-version"], "Java 17", signal);
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "headwaters", "jars");
  const folder = join(cache, name);
  if (await exists(folder)) return folder;
  await demand("mvn", ["-version"], "Maven", signal);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "coming-"));
  try {
    await writeFile(join(work, "pom.xml"), pom(artifacts));
    const parameters = ["-q", "-B", "dependency:copy-dependencies", `-DoutputDirectory=${join(work, "lib")}`];
    await run("mvn", parameters, { cwd: work, timeout: downloadMilliseconds, ...shared(signal) });
    await rename(join(work, "lib"), folder);
  } catch (error) {
    signal?.throwIfAborted();
    // Two processes may have fetched it at the same time.
    if (await exists(folder)) return folder;
    const said = error instanceof Error && "stdout" in error ? String(error.stdout).trim().split("\n")[0] : error;
    throw new HeadwatersError("CONFIGURATION_INVALID", `the jars of ${name} can't be had: ${said}`, {
      hint: "They come by Maven: look whether mvn can reach its repository.",
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

function pom(artifacts: readonly string[]): string {
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
      hint: `Install ${what}, or name a server that runs.`,
      cause: error,
    });
  }
}

/** `mvn` is a batch file on Windows, which only a shell runs. */
function shared(signal: AbortSignal | undefined): { shell: boolean; windowsHide: true; signal?: AbortSignal } {
  return { shell: process.platform === "win32", windowsHide: true, ...(signal === undefined ? {} : { signal }) };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
