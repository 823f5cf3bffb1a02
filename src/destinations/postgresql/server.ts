import { HeadwatersError } from "../../protocol/errors.ts";
import type { Session } from "./session.ts";

const oldestVersion = 130_000;

/** A server that can hold copies. */
export interface Server {
  /** The version as the server reports it: `15.18`. */
  readonly version: string;
}

/** Throws `DESTINATION_UNUSABLE` if the server can't hold copies. */
export async function describeServer(session: Session): Promise<Server> {
  const [row] = await session.rows(
    `SELECT version() AS whole, current_setting('server_version') AS version,
      current_setting('server_version_num') AS number, current_setting('server_encoding') AS encoding,
      pg_is_in_recovery()::text AS standby, current_setting('transaction_read_only') AS read_only`,
  );
  const { whole, version, number, encoding, standby, read_only } = row!;
  if (!whole!.startsWith("PostgreSQL ") || whole!.includes("-YB-")) {
    throw new HeadwatersError("DESTINATION_UNUSABLE", `host: the server is not PostgreSQL: ${whole}`, {
      hint: "Choose PostgreSQL 13 or later: copies are merged in ways that only PostgreSQL itself has.",
    });
  }
  if (Number(number) < oldestVersion) {
    throw new HeadwatersError("DESTINATION_UNUSABLE", `host: the server is PostgreSQL ${version}, which is too old`, {
      hint: "Use PostgreSQL 13 or later.",
    });
  }
  if (standby === "true" || read_only === "on") {
    const why = standby === "true" ? "it is a standby" : "default_transaction_read_only is on";
    throw new HeadwatersError("DESTINATION_UNUSABLE", `host: the server accepts no writes: ${why}`, {
      hint: "Set host to the primary, with a database and a role that may write.",
    });
  }
  if (encoding !== "UTF8") {
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `database: its encoding is ${encoding}, which can't hold every text`,
      { hint: "Create a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0." },
    );
  }
  return { version: version! };
}
