import type { Table } from "../../protocol/table.ts";
import type { Copy } from "./copies.ts";
import { quotedSystem } from "./merge.ts";
import { quote } from "./names.ts";
import { type Stage, staged } from "./stage.ts";
import { hashable } from "./types.ts";

/** So many that few equal rows share one with a row that differs, so few that their sums are small (some 3 MB). */
const buckets = 65_536;

/** The rows of a stage and of its copy that may differ. */
export interface DifferingBuckets {
  /** A query of the buckets that they are in. */
  readonly buckets: string;
  /** Those of the stage and of the copy, as relations; `chosen` names the buckets. */
  stage(chosen: string): string;
  copy(chosen: string): string;
}

/**
 * Tells most rows to be equal without joining them: both sides are summed up by bucket of the key's hash, and where the
 * number of rows and the sum of their hashes are the same, so are the rows (but for one chance in 2⁶⁴). `columns` are
 * compared, beside the key, which the table must have; where `told` names one of them, rows that have NULL there may
 * differ whatever else they have. (Measured, two sides of 4 M rows: 1.2 s; joining them both ways
 * took 7.7 s, and 150 MiB more.)
 */
export function differingBuckets(
  table: Table,
  copy: Copy,
  stage: Stage,
  columns: readonly string[],
  told: string | null = null,
): DifferingBuckets {
  const hashed = (names: readonly string[], column: (name: string) => string): string =>
    `hash(${names.map((name) => hashable(column(name), stage.columns.get(name)!)).join(", ")})`;
  const bucket = (column: (name: string) => string): string => `${hashed(table.key, column)} % ${buckets}`;
  const sums = (column: (name: string) => string, rows: string): string =>
    `SELECT ${bucket(column)} AS bucket, count(*) AS n, sum(${hashed([...table.key, ...columns], column)}) AS digest,
        ${told === null ? "FALSE" : `bool_or(${column(told)} IS NULL)`} AS untold
      FROM ${rows} GROUP BY bucket`;
  const live = `${copy.relation} WHERE NOT ${quotedSystem(copy).deleted}`;
  return {
    buckets: `SELECT coalesce(a.bucket, b.bucket) AS bucket
      FROM (${sums(staged, stage.relation)}) a FULL JOIN (${sums(quote, live)}) b ON a.bucket = b.bucket
      WHERE a.n IS DISTINCT FROM b.n OR a.digest IS DISTINCT FROM b.digest OR a.untold`,
    stage: (chosen) => `(SELECT * FROM ${stage.relation} WHERE ${bucket(staged)} IN (FROM ${chosen}))`,
    copy: (chosen) => `(SELECT * FROM ${copy.relation} WHERE ${bucket(quote)} IN (FROM ${chosen}))`,
  };
}
