import type { Session } from "./dialect.ts";
import { bookkeepingSchema } from "./names.ts";

const moment = (column: string): string => `CAST(${column} AS timestamp with time zone) AS ${column.split(".").at(-1)}`;

/** Views for people's own dashboards: what `docs/up.md` describes. Their names and columns stay. */
const views = (own: (table: string) => string): Readonly<Record<string, string>> => ({
  run_history: `SELECT r.connection, r.id AS run, r.kind, r.asked_by, ${moment("r.started")}, ${moment("r.ended")}, r.outcome,
      r.verdict, r.error_code, r.error_message, r.error_hint, t.tables, t.whole, t.failed, t.rows_read, t.bytes_read,
      t.inserted, t.updated, t.deleted
    FROM ${own("runs")} r LEFT JOIN (
      SELECT connection, run, CAST(count(*) AS bigint) AS tables,
        CAST(sum(CASE WHEN outcome = 'whole' THEN 1 ELSE 0 END) AS bigint) AS whole,
        CAST(sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS bigint) AS failed,
        CAST(sum(rows_read) AS bigint) AS rows_read, CAST(sum(bytes_read) AS bigint) AS bytes_read,
        CAST(sum(inserted) AS bigint) AS inserted, CAST(sum(updated) AS bigint) AS updated,
        CAST(sum(deleted) AS bigint) AS deleted
      FROM ${own("run_tables")} GROUP BY connection, run
    ) t ON t.connection = r.connection AND t.run = r.id`,
  table_history: `SELECT r.connection, r.id AS run, r.kind, ${moment("r.started")}, t.id AS table_name, t.outcome, t.passes,
      t.rows_read, t.bytes_read, t.inserted, t.updated, t.deleted, t.milliseconds, ${moment("t.as_of")}, t.verdict,
      t.reasons, t.error_code, t.error_message, t.error_hint
    FROM ${own("runs")} r JOIN ${own("run_tables")} t
      ON t.connection = r.connection AND t.run = r.id`,
  schema_history: `SELECT c.connection, ${moment("c.seen")}, c.id AS table_name, c.change
    FROM ${own("schema_changes")} c`,
});

/** Makes the views. A destination that keeps a table for each connection has none: they would be of one connection. */
export async function makeViews(session: Session, suffix: string): Promise<void> {
  if (suffix !== "") return;
  const { relation } = session.dialect;
  // Without the file's name, so that they hold wherever it is attached; but where the file is called as the schema is, that
  // would be ambiguous.
  const isAmbiguous =
    relation(bookkeepingSchema, "runs")
      .split(".")
      .filter((part) => part.includes(bookkeepingSchema)).length > 1;
  const own = (table: string): string =>
    isAmbiguous ? relation(bookkeepingSchema, table) : `${bookkeepingSchema}.${table}`;
  for (const [name, query] of Object.entries(views(own))) {
    const view = relation(bookkeepingSchema, name);
    await session.run(`DROP VIEW IF EXISTS ${view}`);
    await session.run(`CREATE VIEW ${view} AS ${query}`);
  }
}
