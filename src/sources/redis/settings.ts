import { readFile } from "node:fs/promises";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { RespSettings } from "../../wire/resp/connection.ts";
import type { Configuration } from "./config.ts";

/** As the published example has it. */
const timeout = 30_000;

/** How to connect, with the files read that the configuration names. */
export async function respSettings(configuration: Configuration): Promise<RespSettings> {
  const { host, port, username, password, database, ssl } = configuration;
  // A user without a password still has to say who they are.
  const secret = password ?? (username === null ? null : "");
  const plain = { host, port, username, password: secret, database, timeout };
  if (!ssl) return { ...plain, tls: null };
  const [ca, certificate, key] = await Promise.all([
    pem("ssl_ca", configuration.ssl_ca),
    pem("ssl_cert", configuration.ssl_cert),
    pem("ssl_key", configuration.ssl_key),
  ]);
  const { ssl_verify: verify, ssl_check_hostname: verifyHost } = configuration;
  return { ...plain, tls: { ca, certificate, key, verify, verifyHost } };
}

async function pem(setting: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${setting}: the file ${path} can't be read (${code})`, {
      hint: "Check its path and permissions.",
      cause: error,
    });
  }
}
