import type { CatalogColumn, CatalogTable } from "./catalog.ts";
import type { Server } from "../server.ts";

/**
 * Bytes per page, bytes of a page for rows, and bytes per row besides its values (header and item pointer, aligned).
 */
const pageBytes = 8192;
const usablePageBytes = 8168;
const rowOverhead = 28;
/** The planner's assumption for a value without a fixed width. */
const unknownWidth = 32;

/**
 * Estimates as PostgreSQL's planner does: the density of the last VACUUM or ANALYZE times the current number of pages.
 * For a table that was never analyzed, the density comes from the widths of its columns. YugabyteDB has no pages, so
 * only ANALYZE gives a count there. `null`: unknown.
 */
export function estimateRows({ heaps, columns }: CatalogTable, { yugabyte }: Pick<Server, "yugabyte">): number | null {
  let rows = 0;
  for (const { kind, tuples, pages, bytes } of heaps) {
    if (kind === "f" || yugabyte) {
      if (tuples <= 0) return null;
      rows += tuples;
      continue;
    }
    const density = pages > 0 ? tuples / pages : usablePageBytes / (rowOverhead + expectedWidth(columns));
    rows += (density * bytes) / pageBytes;
  }
  return Math.round(rows);
}

const fixedWidths: Readonly<Record<string, number>> = {
  bool: 1,
  int2: 2,
  int4: 4,
  int8: 8,
  oid: 4,
  float4: 4,
  float8: 8,
  date: 4,
  time: 8,
  timestamp: 8,
  timestamptz: 8,
  uuid: 16,
};

function expectedWidth(columns: readonly CatalogColumn[]): number {
  return columns.reduce((sum, { type }) => sum + (fixedWidths[type.name] ?? unknownWidth), 0);
}
