import type { PostgresConnection } from "../../wire/postgres/connection.ts";

/** The properties of a server that reading depends on. */
export interface Server {
  /** The result of `version()`. */
  readonly version: string;
  /** `server_version_num`: 150018; YugabyteDB before 2025.1 has 110002. */
  readonly versionNumber: number;
  readonly yugabyte: boolean;
  /** `yb_hash_code()` exists: tables can be cut by the hash that shards them. */
  readonly hashCode: boolean;
  /** `yb_table_properties()` exists: it returns how many key columns are hashed. */
  readonly tableProperties: boolean;
  /** `yb_read_time` exists: statements can read the rows of a past moment. */
  readonly readTime: boolean;
  readonly standby: boolean;
  /** This role can see when the transactions of others began. */
  readonly seesTransactions: boolean;
}

const serverSql = `
SELECT version() AS version, current_setting('server_version_num') AS number,
  (version() LIKE '%-YB-%')::text AS yugabyte,
  EXISTS (SELECT FROM pg_proc WHERE proname = 'yb_hash_code' AND pronamespace = 'pg_catalog'::regnamespace)::text AS hash_code,
  EXISTS (SELECT FROM pg_proc WHERE proname = 'yb_table_properties' AND pronamespace = 'pg_catalog'::regnamespace)::text AS table_properties,
  EXISTS (SELECT FROM pg_settings WHERE name = 'yb_read_time')::text AS read_time,
  pg_is_in_recovery()::text AS standby,
  pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::text AS sees_transactions`;

export async function describeServer(connection: PostgresConnection, signal: AbortSignal): Promise<Server> {
  const [row] = await connection.query(serverSql, [], signal);
  const is = (name: string): boolean => row?.[name] === "true";
  return {
    version: row?.["version"] ?? "",
    versionNumber: Number(row?.["number"] ?? 0),
    yugabyte: is("yugabyte"),
    hashCode: is("hash_code"),
    tableProperties: is("table_properties"),
    readTime: is("read_time"),
    standby: is("standby"),
    seesTransactions: is("sees_transactions"),
  };
}

/** Why open transactions do not show where the next window starts; empty if they do. */
export function transactionWarnings(server: Server, user: string, lag: number): string[] {
  const instead = `Rows that are committed more than ${lag} s (the setting lag) after their cursor are found by sweeps only.`;
  if (server.yugabyte) return [`YugabyteDB shows open transactions of one node alone. ${instead}`];
  if (server.standby) return [`A standby does not show the open transactions of its primary. ${instead}`];
  if (server.seesTransactions) return [];
  return [
    `User "${user}" may not see when the transactions of others began. ${instead} GRANT pg_read_all_stats lets it see them.`,
  ];
}
