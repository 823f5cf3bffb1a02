import type { PostgresConnection } from "../../../wire/postgres/connection.ts";

/** The source's clocks at one moment, in a form that can be compared with cursor columns of each type. */
export interface ReadPoint {
  /** ISO 8601, UTC. Rows that are read after this moment are at least as new. */
  readonly asOf: string;
  /** By type of the cursor column: where the next window starts, and where a window that is read now ends. */
  readonly cursors: Readonly<Record<string, { readonly next: string; readonly until: string }>>;
}

/**
 * The cursor of a row that is not yet visible is no earlier than the start of its transaction. So the next window may
 * start at the oldest open transaction, less the lag. The lag covers clocks that differ, and cursors that clients set.
 * Our own transactions are left out, because they write nothing. For a prepared transaction only the time of its
 * preparation is known; it is assumed to have begun at most a day earlier. A standby shows the transactions of its
 * primary only once they are replayed.
 *
 * A `timestamp` does not say its zone. Writers may mean UTC or the database's own zone, and a zone with summer time
 * repeats an hour. The earliest reading counts for the start, the latest for the end.
 */
const readPointSql = `
WITH clock AS (
  SELECT now() - $3::int8 * interval '1 millisecond' AS now, LEAST(
    now(),
    (SELECT min(xact_start) FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type IS DISTINCT FROM 'autovacuum worker'
       AND backend_type IS DISTINCT FROM 'walsender'
       AND pid <> pg_backend_pid()
       AND NOT (pid = ANY ($1::int4[]) AND usename = current_user AND application_name = 'headwaters')),
    (SELECT min(prepared) - interval '1 day' FROM pg_prepared_xacts WHERE database = current_database()),
    CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END
  ) - $2::int8 * interval '1 second' - $3::int8 * interval '1 millisecond' AS safe
), place AS (
  SELECT now, safe, reset_val AS zone,
    CASE WHEN (now AT TIME ZONE reset_val) - (now AT TIME ZONE 'UTC')
      = ((now - interval '26 weeks') AT TIME ZONE reset_val) - ((now - interval '26 weeks') AT TIME ZONE 'UTC')
      THEN interval '0' ELSE interval '1 hour' END AS summer
  FROM clock, pg_settings WHERE name = 'TimeZone'
), local AS (
  SELECT now, safe, LEAST(safe AT TIME ZONE 'UTC', safe AT TIME ZONE zone) - summer AS earliest,
    GREATEST(now AT TIME ZONE 'UTC', now AT TIME ZONE zone) + summer AS latest
  FROM place
)
SELECT to_char(now, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS as_of, safe::text AS next_timestamptz,
  now::text AS until_timestamptz, earliest::text AS next_timestamp, latest::text AS until_timestamp,
  earliest::date::text AS next_date, latest::date::text AS until_date
FROM local`;

/** `ours`: process ids of this source's sessions; `lag` in seconds, `staleness` of follower reads in milliseconds. */
export async function takeReadPoint(
  connection: PostgresConnection,
  { ours, lag, staleness }: { readonly ours: readonly number[]; readonly lag: number; readonly staleness: number },
  signal: AbortSignal,
): Promise<ReadPoint> {
  const [row] = await connection.query(readPointSql, [ours.map(String), lag, staleness], signal);
  const at = (name: string): string => row![name]!;
  const cursor = (type: string) => ({ next: at(`next_${type}`), until: at(`until_${type}`) });
  return {
    asOf: at("as_of"),
    cursors: { timestamptz: cursor("timestamptz"), timestamp: cursor("timestamp"), date: cursor("date") },
  };
}
