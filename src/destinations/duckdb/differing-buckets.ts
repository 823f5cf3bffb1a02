import type { Table } from "../../protocol/table.ts";
import { quotedSystem, storedType } from "../sql/copies.ts";
import type { Dialect, Target } from "../sql/dialect.ts";
import { staged } from "../sql/stage.ts";
import type { Copy, Stage } from "../sql/model.ts";

/** Many enough that few equal rows share a bucket with a differing row, few enough that the sums take some 3 MB. */
const buckets = 65_536;

/** The rows of a stage and of its copy that may differ. */
export interface DifferingBuckets {
  /** A query of the buckets of these rows, by the sums of both sides: relations, or queries in parentheses. */
  buckets(stage: string, copy: string): string;
  /** A query of the sums of rows of the stage, or of the copy. */
  stageSums(rows: string): string;
  copySums(rows: string): string;
  /**
   * The condition that a row of the stage, or the row `t` of the copy, is in these buckets. `chosen` is the relation of the
   * buckets.
   */
  inStage(chosen: string): string;
  inCopy(chosen: string): string;
}

/**
 * Finds most equal rows without joining both sides. Both sides are summed up by bucket of the key's hash. If the number
 * of rows and the sum of their hashes are the same, the rows are the same (but for one chance in 2⁶⁴). The key, which
 * the table must have, and `columns` are compared. If `told` names one of these columns, rows with NULL in it count as
 * differing. (Measured, two sides of 4 M rows: 1.2 s; joining them both ways took 7.7 s, and 150 MiB more.)
 */
export function differingBuckets(
  dialect: Dialect,
  table: Table,
  copy: Copy,
  stage: Stage,
  columns: readonly string[],
  told: string | null,
): DifferingBuckets {
  const known = columns.filter((name) => storedType(dialect, copy, name) !== undefined);
  const targets = (names: readonly string[], column: (name: string) => string): readonly Target[] =>
    names.map((name) => ({ sql: column(name), type: stage.columns.get(name)! }));
  const inStage = (name: string): string => staged(dialect, name);
  const bucket = (column: (name: string) => string): string =>
    dialect.bucket(dialect.hash(targets(table.key, column)), buckets);
  // Both sides use the column names of a stage, so that users' names can't collide with ours.
  const sums = (rows: string): string =>
    `SELECT bucket, count(*) AS n, sum(digest) AS digest, bool_or(untold) AS untold FROM
      (SELECT ${bucket(inStage)} AS bucket, ${dialect.hash(targets([...table.key, ...known], inStage))} AS digest,
        ${told === null ? "false" : `${inStage(told)} IS NULL`} AS untold FROM ${rows} r) hashed GROUP BY bucket`;
  const inCopy = (name: string): string => `t.${dialect.quote(name)}`;
  const live = (
    rows: string,
  ): string => `(SELECT ${[...table.key, ...known].map((name) => `${inCopy(name)} AS ${inStage(name)}`).join(", ")}
    FROM ${rows} t WHERE NOT t.${quotedSystem(dialect, copy).deleted})`;
  return {
    buckets: (ofStage, ofCopy) => `SELECT coalesce(a.bucket, b.bucket) AS bucket
      FROM ${ofStage} a FULL JOIN ${ofCopy} b ON a.bucket = b.bucket
      WHERE a.n IS DISTINCT FROM b.n OR a.digest IS DISTINCT FROM b.digest OR a.untold`,
    stageSums: sums,
    copySums: (rows) => sums(live(rows)),
    inStage: (chosen) => `${bucket(inStage)} IN (FROM ${chosen})`,
    inCopy: (chosen) => `${bucket(inCopy)} IN (FROM ${chosen})`,
  };
}
