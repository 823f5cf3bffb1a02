import { pemOf, tlsOptions } from "../../net/tls.ts";
import type { RespSettings } from "../../wire/resp/connection.ts";
import type { Configuration } from "./config.ts";

/** The timeout of the published example. */
const timeout = 30_000;

/** The connection settings; reads the files that the configuration names. */
export function respSettings(configuration: Configuration): RespSettings {
  const { host, port, username = null, password, database, ssl } = configuration;
  // AUTH with a user name needs a password, even an empty one.
  const secret = password ?? (username === null ? null : "");
  const silence = configuration.read_timeout * 1_000;
  const plain = { host, port, username, password: secret, database, timeout, silence };
  if (!ssl) return { ...plain, tls: null };
  const { ssl_verify, ssl_check_hostname } = configuration;
  const files = {
    ca: pemOf("ssl_ca", configuration.ssl_ca),
    certificate: pemOf("ssl_cert", configuration.ssl_cert),
    key: pemOf("ssl_key", configuration.ssl_key),
  };
  return { ...plain, tls: tlsOptions(files, !ssl_verify ? "no" : ssl_check_hostname ? "full" : "chain") };
}
