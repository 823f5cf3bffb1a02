import { execFile } from "node:child_process";
import { chmod, cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { LocalPostgresql } from "../../src/servers/postgresql.ts";

const run = promisify(execFile);
const most = { maxBuffer: 64 << 20 };

/**
 * Downloads Debian's source package of PostgreSQL 15 to `folder` and builds what runs its regression tests: pg_regress,
 * psql and the functions in C. Needs apt, gcc, make, perl and bzip2. Takes about a minute. Resolves to the sources' folder.
 */
export async function buildRegressionTests(folder: string, signal: AbortSignal): Promise<string> {
  const archive = await download(folder, signal);
  await run("tar", ["xf", archive], { cwd: folder, signal });
  const name = (await readdir(folder)).find((entry) => /^postgresql-15\.\d+$/.test(entry));
  if (name === undefined) throw new Error(`${archive} holds no folder postgresql-15.*`);
  const sources = join(folder, name);
  const options = { ...most, cwd: sources, signal };
  await run("./configure", ["--without-readline", "--without-zlib", "CFLAGS=-O1"], options);
  for (const [part, ...targets] of [["backend", "generated-headers"], ["test/regress"], ["bin/psql"]])
    await run("make", ["-j2", "-C", `src/${part}`, ...targets], options);
  return sources;
}

/** The archive with the sources. The machine's own places of packages are asked, for sources in place of programs. */
async function download(folder: string, signal: AbortSignal): Promise<string> {
  const format = "deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)";
  const targets = await run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"], { signal });
  const lists = join(folder, "lists");
  await mkdir(join(lists, "partial"), { recursive: true });
  await writeFile(join(folder, "sources.list"), targets.stdout);
  const own = {
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State::lists": lists,
    // Another user can't write to the folder.
    "APT::Sandbox::User": "root",
  };
  const options = Object.entries(own).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  // Places without sources are no error: the package has to be in one of them.
  await run("apt-get", [...options, "update"], { ...most, signal }).catch(() => {});
  const shown = await run("apt-cache", [...options, "showsrc", "postgresql-15"], { ...most, signal });
  const versions = [...shown.stdout.matchAll(/^Version: (.*)$/gm)].map(([, version]) => version!).reverse();
  const failures: unknown[] = [];
  for (const version of versions) {
    const wanted = ["source", "--download-only", `postgresql-15=${version}`];
    try {
      await run("apt-get", [...options, ...wanted], { ...most, cwd: folder, signal });
      const archive = (await readdir(folder)).find((entry) => /^postgresql-15_.*\.orig\.tar\./.test(entry));
      if (archive !== undefined) return join(folder, archive);
    } catch (error) {
      // A mirror may list a version that it does not hold.
      failures.push(error);
    }
  }
  throw new AggregateError(failures, "apt has no sources of postgresql-15");
}

/** Runs the regression tests, which leave the database `regression` on the server. Resolves to how many of them failed. */
export async function makeRegressionDatabase(
  sources: string,
  folder: string,
  server: LocalPostgresql,
  signal: AbortSignal,
): Promise<string> {
  const tests = join(folder, "regress");
  await cp(join(sources, "src/test/regress"), tests, { recursive: true });
  const out = join(folder, "out");
  await mkdir(out);
  // The server, another user, loads functions and files from the one, and writes files to the other.
  await run("chmod", ["-R", "a+rX", tests]);
  await chmod(folder, 0o755);
  await chmod(out, 0o777);
  const place = [`--host=${server.host}`, `--port=${server.port}`, `--user=${server.user}`];
  const folders = [`--inputdir=${tests}`, `--dlpath=${tests}`, `--outputdir=${out}`];
  const programs = `--bindir=${join(sources, "src/bin/psql")}`;
  const how = [`--schedule=${join(tests, "parallel_schedule")}`, "--max-connections=4", programs];
  // Some tests expect another locale or build, which is no matter: what they made counts.
  const { stdout } = await run(join(tests, "pg_regress"), [...place, ...folders, ...how], {
    ...most,
    signal,
    env: { PATH: "/usr/bin:/bin", PGPASSWORD: server.password },
  }).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === 1 && "stdout" in error)
      return error as Error & { readonly stdout: string };
    throw error;
  });
  return /^ *(.*tests (?:failed|passed).*?) *$/m.exec(stdout)?.[1] ?? "no summary";
}
