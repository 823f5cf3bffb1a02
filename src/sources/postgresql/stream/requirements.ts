import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { escapeIdentifier } from "../../../wire/postgres/literals.ts";
import type { Server } from "../server.ts";

/** Throws if the server or the role can't have a stream, with a hint what to do. */
export async function checkStreaming(
  connection: PostgresConnection,
  { yugabyte }: Pick<Server, "yugabyte">,
  signal: AbortSignal,
): Promise<void> {
  const [row] = await connection.query(
    `SELECT current_setting('wal_level') AS level, pg_is_in_recovery()::text AS standby,
       (r.rolreplication OR r.rolsuper)::text AS replicates
     FROM pg_roles r WHERE r.rolname = current_user`,
    [],
    signal,
  );
  const { user } = connection.settings;
  if (row?.["standby"] === "true") {
    throw new HeadwatersError("CONFIGURATION_INVALID", "changes: a standby can't provide a stream", {
      hint: "Set host to the primary, or set changes to cursor.",
    });
  }
  // YugabyteDB has another log, without levels.
  if (!yugabyte && row?.["level"] !== "logical") {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `changes: a stream needs the server's wal_level to be logical, but it is ${row?.["level"]}`,
      { hint: "Run ALTER SYSTEM SET wal_level = logical; and restart the server. Or set changes to cursor." },
    );
  }
  if (row?.["replicates"] !== "true") {
    throw new HeadwatersError("PRIVILEGE_MISSING", `changes: user "${user}" may not use replication slots`, {
      hint: `ALTER ROLE ${escapeIdentifier(user)} REPLICATION;`,
    });
  }
}
