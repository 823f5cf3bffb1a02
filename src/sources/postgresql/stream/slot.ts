import { createHash } from "node:crypto";
import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { escapeIdentifier, escapeLiteral } from "../../../wire/postgres/literals.ts";
import type { Configuration } from "../config.ts";
import { lsnOf } from "./lsn.ts";

/** The names of what following keeps at the source. */
export interface StreamNames {
  readonly slot: string;
  readonly publication: string;
}

export interface Slot {
  /** Commits that begin before it are not sent any more. */
  readonly confirmed: bigint;
  /** The bytes of log that it keeps. */
  readonly retained: bigint;
  /** The server has dropped log that it needs. */
  readonly lost: boolean;
  /** The process that reads it now; `null`: none. */
  readonly reader: string | null;
}

export function streamNames({ slot, publication, database, schema }: Configuration): StreamNames {
  const name = slot ?? defaultSlot(`${database}_${schema}`);
  return { slot: name, publication: publication ?? name };
}

/** Slots have short names, unique on the server. Where characters are replaced or cut off, a digest keeps names apart. */
function defaultSlot(place: string): string {
  const plain = place.toLowerCase().replace(/[^a-z0-9_]/g, "_");
  const digest = createHash("sha256").update(place).digest("hex").slice(0, 8);
  return plain === place && place.length <= 52 ? `headwaters_${place}` : `headwaters_${plain.slice(0, 43)}_${digest}`;
}

/** `null`: no slot has this name. Throws `CONFIGURATION_INVALID` if the slot is of another kind or database. */
export async function findSlot(
  connection: PostgresConnection,
  name: string,
  signal: AbortSignal,
): Promise<Slot | null> {
  const [row] = await connection.query(
    `SELECT s.plugin, s.database, (s.database = current_database())::text AS here, s.active_pid::text AS reader,
       s.confirmed_flush_lsn::text AS confirmed, (to_jsonb(s) ->> 'wal_status') AS status,
       greatest(0, pg_current_wal_lsn() - s.restart_lsn)::int8::text AS retained
     FROM pg_replication_slots s WHERE s.slot_name = $1`,
    [name],
    signal,
  );
  if (row === undefined) return null;
  if (row["plugin"] !== "pgoutput" || row["here"] !== "true") {
    const what =
      row["database"] === null ? "a physical slot" : `of "${row["plugin"]}" in database "${row["database"]}"`;
    throw new HeadwatersError("CONFIGURATION_INVALID", `slot: there is a replication slot "${name}" already, ${what}`, {
      hint: "Set slot to another name.",
    });
  }
  const lost = row["status"] === "lost" || row["confirmed"] === null;
  return {
    confirmed: lost ? 0n : lsnOf(row["confirmed"]!),
    retained: BigInt(row["retained"] ?? 0),
    lost,
    reader: row["reader"] ?? null,
  };
}

/** Where the log ends now, and how many bytes the server writes before it drops what the slot needs; `null`: it never does. */
export async function logWritten(
  connection: PostgresConnection,
  name: string,
  signal: AbortSignal,
): Promise<{ readonly written: bigint; readonly left: number | null }> {
  const [row] = await connection.query(
    `SELECT pg_current_wal_lsn()::text AS lsn,
       (SELECT to_jsonb(s) ->> 'safe_wal_size' FROM pg_replication_slots s WHERE s.slot_name = $1) AS left`,
    [name],
    signal,
  );
  const left = row!["left"];
  return { written: lsnOf(row!["lsn"]!), left: left == null ? null : Math.max(0, Number(left)) };
}

/** Waits until every transaction that is running has ended: that is how the server finds the slot's beginning. */
export async function makeSlot(connection: PostgresConnection, name: string, signal: AbortSignal): Promise<void> {
  await connection.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name], signal);
}

/** Throws `READ_CONFLICT` if something reads it now. */
export async function dropSlot(connection: PostgresConnection, name: string, signal: AbortSignal): Promise<void> {
  await unlessInUse(name, () => connection.query("SELECT pg_drop_replication_slot($1)", [name], signal));
}

/** From here on the server keeps the log only from `lsn` on. */
export async function advanceSlot(
  connection: PostgresConnection,
  name: string,
  lsn: string,
  signal: AbortSignal,
): Promise<void> {
  await unlessInUse(name, () =>
    connection.query("SELECT pg_replication_slot_advance($1, $2::pg_lsn)", [name, lsn], signal),
  );
}

/** Gives each message of the slot up to `end` to `take`. The slot stays where it is. */
export async function peekSlot(
  connection: PostgresConnection,
  { slot, publication }: StreamNames,
  end: string,
  take: (message: Buffer) => void,
  signal: AbortSignal,
): Promise<void> {
  const options = ["proto_version", "1", "publication_names", escapeIdentifier(publication)].map(escapeLiteral);
  const changes = `pg_logical_slot_peek_binary_changes(${escapeLiteral(slot)}, ${escapeLiteral(end)}, NULL, ${options.join(", ")})`;
  await unlessInUse(slot, async () => {
    for await (const chunk of connection.copy(`COPY (SELECT data FROM ${changes}) TO STDOUT`, signal)) {
      // Each message has a head of five bytes, and one row of text: \\x, the bytes in hexadecimal, a line feed.
      for (let at = 0; at < chunk.length;) {
        const next = at + 1 + chunk.readUInt32BE(at + 1);
        take(Buffer.from(chunk.toString("latin1", at + 8, next - 1), "hex"));
        at = next;
      }
    }
  });
}

/** A table that is to be published. */
interface Published {
  readonly relation: string;
  readonly schema: string;
  readonly name: string;
  readonly partitioned: boolean;
}

/**
 * Makes the publication where it is missing, and adds the table to it. Resolves to what identifies the table's place in it:
 * another value means that changes were not published meanwhile. Throws `CONFIGURATION_INVALID` if the publication leaves
 * changes out, or `PRIVILEGE_MISSING` with the statement that somebody with more rights may run.
 */
export async function publish(
  connection: PostgresConnection,
  publication: string,
  table: Published,
  signal: AbortSignal,
): Promise<string> {
  const name = escapeIdentifier(publication);
  const found = await findPublication(connection, publication, table, signal);
  const roots = "publish_via_partition_root = true";
  if (found?.has === true && (found.roots || !table.partitioned)) return found.place;
  if (found === null) {
    // Older servers know no partitions here.
    const options = table.partitioned ? ` WITH (${roots})` : "";
    await alter(connection, `CREATE PUBLICATION ${name} FOR TABLE ${table.relation}${options}`, table.name, signal);
  } else {
    if (table.partitioned && !found.roots)
      await alter(connection, `ALTER PUBLICATION ${name} SET (${roots})`, table.name, signal);
    if (!found.has)
      await alter(connection, `ALTER PUBLICATION ${name} ADD TABLE ${table.relation}`, table.name, signal);
  }
  const made = await findPublication(connection, publication, table, signal);
  if (made?.has === true) return made.place;
  throw new HeadwatersError("READ_CONFLICT", `publication: "${publication}" was dropped while it was made`);
}

/** What a publication has of a table; `null`: there is no such publication. */
async function findPublication(
  connection: PostgresConnection,
  publication: string,
  { schema, name: table }: Pick<Published, "schema" | "name">,
  signal: AbortSignal,
): Promise<{ readonly has: boolean; readonly roots: boolean; readonly place: string } | null> {
  const [found] = await connection.query(
    `SELECT (p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate)::text AS whole,
       coalesce(to_jsonb(p) ->> 'pubviaroot', 'false') AS roots,
       EXISTS (
         SELECT FROM pg_publication_tables t WHERE t.pubname = p.pubname AND t.schemaname = $2 AND t.tablename = $3
       )::text AS has,
       p.oid::text || coalesce('/' || r.oid::text, '') || coalesce('/' || (to_jsonb(p) ->> 'pubviaroot'), '') AS place,
       (coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') IS NOT NULL)::text AS partial
     FROM pg_publication p LEFT JOIN (
       pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid AND c.relname = $3
       JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $2
     ) ON r.prpubid = p.oid
     WHERE p.pubname = $1`,
    [publication, schema, table],
    signal,
  );
  if (found === undefined) return null;
  const name = escapeIdentifier(publication);
  const wrong = (what: string, hint: string): HeadwatersError =>
    new HeadwatersError("CONFIGURATION_INVALID", `publication: "${publication}" ${what}`, { hint });
  if (found["whole"] !== "true")
    throw wrong(
      "leaves out some kinds of changes",
      `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate');`,
    );
  if (found["partial"] === "true")
    throw wrong(
      `has a row filter or a column list for table "${table}"`,
      "Set publication to the name of another one.",
    );
  return { has: found["has"] === "true", roots: found["roots"] === "true", place: found["place"]! };
}

async function alter(
  connection: PostgresConnection,
  statement: string,
  table: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await connection.simple(`BEGIN READ WRITE; ${statement}; COMMIT`, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    if (connection.inTransaction) await connection.rollback();
    if (!(thrown instanceof HeadwatersError) || nativeCode(thrown.cause) !== "42501") throw thrown;
    throw new HeadwatersError(
      "PRIVILEGE_MISSING",
      `table "${table}": user "${connection.settings.user}" may not publish it: ${thrown.message}`,
      { hint: `Have its owner, who also owns the publication, run: ${statement};`, cause: thrown },
    );
  }
}

/**
 * Drops the slot and, unless the user named it, the publication: one with a name of its own may serve others too. Resolves to
 * what was dropped.
 */
export async function dropStream(
  connection: PostgresConnection,
  configuration: Configuration,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { slot, publication } = streamNames(configuration);
  const dropped: string[] = [];
  if ((await findSlot(connection, slot, signal)) !== null) {
    await dropSlot(connection, slot, signal);
    dropped.push(`replication slot "${slot}"`);
  }
  const [found] = await connection.query("SELECT FROM pg_publication WHERE pubname = $1", [publication], signal);
  if (configuration.publication !== undefined || found === undefined) return dropped;
  await connection.simple(`BEGIN READ WRITE; DROP PUBLICATION ${escapeIdentifier(publication)}; COMMIT`, signal);
  return [...dropped, `publication "${publication}"`];
}

async function unlessInUse(slot: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof HeadwatersError) || nativeCode(thrown.cause) !== "55006") throw thrown;
    throw new HeadwatersError("READ_CONFLICT", `slot: something else reads the replication slot "${slot}" now`, {
      hint: "Each copy needs a slot of its own. Look for the process in pg_replication_slots (active_pid), or set slot to another name.",
      cause: thrown,
    });
  }
}
