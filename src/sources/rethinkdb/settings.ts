import { readFile } from "node:fs/promises";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { ReqlAddress } from "../../wire/reql/connection.ts";
import type { Configuration } from "./config.ts";

/** How to reach the server. Throws `CONFIGURATION_INVALID` where the authority's file can't be read. */
export async function reqlAddress(configuration: Configuration): Promise<ReqlAddress> {
  const { host, port, username, password, use_ssl: encrypted, ssl_ca: file } = configuration;
  return {
    host,
    port,
    user: username,
    password,
    tls: encrypted ? (file === undefined ? {} : { ca: await authority(file) }) : null,
    connectTimeout: configuration.connect_timeout * 1_000,
    silence: configuration.read_timeout * 1_000,
  };
}

async function authority(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `ssl_ca: the file can't be read: ${reason}`, {
      hint: "Set ssl_ca to a file in PEM that exists.",
      cause: thrown,
    });
  }
}
