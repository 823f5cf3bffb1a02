import { DuckDBInstance } from "@duckdb/node-api";
import { count } from "../../toolkit/figures.ts";
import { type ColumnLayout, type Look } from "../display/text.ts";
import { tableLines } from "../display/table.ts";

/** Queries the warehouse as any DuckDB client would. Returns the lines of the query and of its result. */
export async function lookInside(path: string, query: string, look: Look): Promise<readonly string[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
  try {
    const connection = await instance.connect();
    try {
      const reader = await connection.runAndReadAll(query);
      const layout = reader
        .columnNames()
        .map((title, index): ColumnLayout => ({ title, align: index === 0 ? "left" : "right" }));
      const rows = reader.getRowsJson().map((row) => row.map(shown));
      return [...query.split("\n").map((line) => look.paint("cyan", line)), ...tableLines(layout, rows, look)];
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** DuckDB returns counts as text, because they may be too large for a number. */
function shown(value: unknown): string {
  return typeof value === "string" && /^\d{4,}$/.test(value) ? count(Number(value)) : String(value);
}
