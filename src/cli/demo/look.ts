import { count } from "../display/format.ts";
import { type ColumnLayout, type Paint, tableLines } from "../display/text.ts";

/** A query that the demo shows, over the copy in schema `public`. */
const query = `SELECT d.site, count(*) AS readings, round(avg(r.temperature), 2) AS celsius, max(r.pressure) AS pressure,
       count(*) FILTER (r.status <> 'ok') AS unusual
FROM public.sensor_readings r JOIN public.devices d USING (device_id)
WHERE NOT r._headwaters_deleted
GROUP BY ALL ORDER BY d.site`;

/** Asks the warehouse itself, as any DuckDB client would: the query and what it gives, as lines. */
export async function lookInside(path: string, paint: Paint): Promise<readonly string[]> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
  try {
    const connection = await instance.connect();
    try {
      const reader = await connection.runAndReadAll(query);
      const layout = reader
        .columnNames()
        .map((title, index): ColumnLayout => ({ title, align: index === 0 ? "left" : "right" }));
      const rows = reader.getRowsJson().map((row) => row.map(shown));
      return [...query.split("\n").map((line) => paint("cyan", line)), ...tableLines(layout, rows, paint)];
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** Counts come as text, since they may be wider than a number. */
function shown(value: unknown): string {
  return typeof value === "string" && /^\d{4,}$/.test(value) ? count(Number(value)) : String(value);
}
