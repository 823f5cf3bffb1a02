import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { escapeIdentifier, escapeLiteral } from "../../../wire/postgres/literals.ts";
import type { Configuration, OutputPlugin } from "../config.ts";
import type { Server } from "../server.ts";
import { lsnOf } from "./lsn.ts";
import { pluginOf, type StreamNames, streamNames } from "./names.ts";

export interface Slot {
  /** Commits that begin before it are not sent any more. */
  readonly confirmed: bigint;
  /** The bytes of log that it keeps; `null`: the server does not count them. */
  readonly retained: bigint | null;
  /** Another value means another slot of the same name; `null`: PostgreSQL does not report it. */
  readonly stream: string | null;
  /** Whether the server has dropped log that the slot needs. */
  readonly lost: boolean;
  /** The process that reads it now; `null`: none. */
  readonly reader: string | null;
}

/** `null`: no slot has this name. Throws `CONFIGURATION_INVALID` if the slot is of another kind or database. */
export async function findSlot(
  connection: PostgresConnection,
  configuration: Configuration,
  server: Pick<Server, "yugabyte">,
  signal: AbortSignal,
): Promise<Slot | null> {
  const { slot: name } = streamNames(configuration);
  const plugin = pluginOf(configuration, server);
  // YugabyteDB's positions count records, so they can only be compared.
  const retained = server.yugabyte ? "NULL" : "greatest(0, pg_current_wal_lsn() - s.restart_lsn)::int8::text";
  const [row] = await connection.query(
    `SELECT s.plugin, s.database, (s.database = current_database())::text AS here, s.active_pid::text AS reader,
       s.confirmed_flush_lsn::text AS confirmed, (to_jsonb(s) ->> 'wal_status') AS status,
       (to_jsonb(s) ->> 'yb_stream_id') AS stream, ${retained} AS retained
     FROM pg_replication_slots s WHERE s.slot_name = $1`,
    [name],
    signal,
  );
  if (row === undefined) return null;
  if (row["plugin"] !== plugin || row["here"] !== "true") {
    const what =
      row["database"] === null ? "a physical slot" : `of "${row["plugin"]}" in database "${row["database"]}"`;
    throw new HeadwatersError("CONFIGURATION_INVALID", `slot: a replication slot "${name}" exists already, ${what}`, {
      hint: "Set slot to another name.",
    });
  }
  const lost = row["status"] === "lost" || row["confirmed"] === null;
  return {
    confirmed: lost ? 0n : lsnOf(row["confirmed"]!),
    retained: row["retained"] == null ? null : BigInt(row["retained"]),
    stream: row["stream"] ?? null,
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

/** Waits until every transaction that is running has ended: that is how PostgreSQL finds the slot's beginning. */
export async function makeSlot(
  connection: PostgresConnection,
  name: string,
  plugin: OutputPlugin,
  signal: AbortSignal,
): Promise<void> {
  await connection.query("SELECT pg_create_logical_replication_slot($1, $2)", [name, plugin], signal);
}

/** Throws `READ_CONFLICT` if something reads it now. */
export async function dropSlot(connection: PostgresConnection, name: string, signal: AbortSignal): Promise<void> {
  await unlessInUse(name, () => connection.query("SELECT pg_drop_replication_slot($1)", [name], signal));
}

/** Lets the server drop the log before `lsn`. */
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

/** Gives each message of the slot up to `end` to `take`. The slot's position does not move. */
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

/**
 * Drops the slot and, unless the user named it, the publication: a publication that the user named may serve others
 * too. Resolves to what was dropped.
 */
export async function dropStream(
  connection: PostgresConnection,
  configuration: Configuration,
  server: Pick<Server, "yugabyte">,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { slot, publication } = streamNames(configuration);
  const dropped: string[] = [];
  if ((await findSlot(connection, configuration, server, signal)) !== null) {
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
    throw new HeadwatersError("READ_CONFLICT", `slot: another process is reading the replication slot "${slot}"`, {
      hint: "Find the process in pg_replication_slots (active_pid), or set slot to another name: each copy needs its own slot. YugabyteDB counts a slot as in use for five minutes after it was read.",
      cause: thrown,
    });
  }
}
