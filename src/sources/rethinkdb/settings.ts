import { pemOf, tlsOptions } from "../../net/tls.ts";
import type { ReqlAddress } from "../../wire/reql/address.ts";
import type { Configuration } from "./config.ts";

/** The server's address and TLS. Throws `CONFIGURATION_INVALID` if the CA file can't be read. */
export function reqlAddress(configuration: Configuration): ReqlAddress {
  const { host, port, username: user, password, use_ssl: encrypted, ssl_ca: file } = configuration;
  return {
    host,
    port,
    user,
    password,
    tls: encrypted ? tlsOptions({ ca: pemOf("ssl_ca", file) }, "full") : null,
    connectTimeout: configuration.connect_timeout * 1_000,
    silence: configuration.read_timeout * 1_000,
  };
}
