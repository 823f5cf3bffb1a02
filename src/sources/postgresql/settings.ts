import type { PostgresSettings } from "../../wire/postgres/connection.ts";
import type { Configuration } from "./config.ts";

/** How to connect. */
export function postgresSettings(configuration: Configuration): PostgresSettings {
  const { host, port, database, user, password, connect_timeout, read_timeout, statement_timeout } = configuration;
  const { sslmode, sslrootcert, sslcert, sslkey } = configuration;
  return {
    host,
    port,
    database,
    user,
    password,
    ssl: { sslmode, sslrootcert, sslcert, sslkey },
    connectTimeout: connect_timeout * 1000,
    silence: read_timeout * 1000,
    statementTimeout: statement_timeout === undefined ? null : statement_timeout * 1000,
    readOnly: true,
  };
}
