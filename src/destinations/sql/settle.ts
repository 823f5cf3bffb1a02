import type { Pass } from "../../protocol/pass.ts";
import type { Changes, Deletes, Settlement } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { noChanges } from "../../toolkit/changes.ts";
import { countLive, quotedSystem, storedType } from "./copies.ts";
import type { Dialect, Narrowed, Session, Writing } from "./dialect.ts";
import { analyze, deleteRows } from "./merge.ts";
import { timestamp } from "./names.ts";
import type { PassTable } from "./pass-tables.ts";
import { keyColumns, staged } from "./stage.ts";
import type { Copy, Stage } from "./model.ts";

/** Keys of live rows that the copy had before the pass, and that the pass did not read; with the names of the stage. */
export function goneKeys(dialect: Dialect, pass: Pass, table: Table, copy: Copy, stage: Stage): string {
  const narrowed = dialect.merging.narrow(dialect, table, copy, stage, [], null, rowsOf(pass));
  return `${narrowed.prefix} ${gone(dialect, pass, table, copy, narrowed)}`;
}

/**
 * Keys of a sweep that the copy lacks, has marked as deleted, or has in another version; with the names of the stage.
 * If a version is NULL, the row may have changed.
 */
export function missingKeys(dialect: Dialect, pass: Pass, table: Table, copy: Copy, stage: Stage): string {
  const rows = rowsOf(pass);
  const narrowed = dialect.merging.narrow(dialect, table, copy, stage, versionOf(table), table.version, rows);
  return `${narrowed.prefix} ${missing(dialect, table, copy, narrowed)}`;
}

function gone(dialect: Dialect, pass: Pass, table: Table, copy: Copy, { source, target }: Narrowed): string {
  const { synced, deleted } = quotedSystem(dialect, copy);
  const names = keyColumns(dialect, table, copy).map((key) => `t.${key.copy} AS ${key.stage}`);
  // An outer join: DuckDB compares every row with every other one for NOT EXISTS over buckets.
  return `SELECT ${names.join(", ")}
    FROM ${target} t LEFT JOIN (SELECT *, true AS met FROM ${source} r) s
      ON ${dialect.merging.sameKey(dialect, table, copy, "s", "t")}
    WHERE s.met IS NULL AND NOT t.${deleted} AND t.${synced} <= ${timestamp(pass.opened)}`;
}

function missing(dialect: Dialect, table: Table, copy: Copy, { source, target }: Narrowed): string {
  const { comparable, quote, merging } = dialect;
  const { synced, deleted } = quotedSystem(dialect, copy);
  const { version } = table;
  const type = version === null ? undefined : storedType(dialect, copy, version);
  const differs =
    version === null || type === undefined
      ? "false"
      : `s.${staged(dialect, version)} IS NULL OR ${dialect.differ(`s.${staged(dialect, version)}`, `t.${quote(version)}`, type)}`;
  const keys = keyColumns(dialect, table, copy);
  return `SELECT DISTINCT ${keys.map((key) => `${comparable(`s.${key.stage}`, key.type)} AS ${key.stage}`).join(", ")}
    FROM ${source} s LEFT JOIN ${target} t ON ${merging.sameKey(dialect, table, copy, "s", "t")}
    WHERE t.${synced} IS NULL OR t.${deleted} OR ${differs}`;
}

function rowsOf({ copyRows }: Pass): number {
  return copyRows ?? Infinity;
}

function versionOf({ version }: Table): readonly string[] {
  return version === null ? [] : [version];
}

export async function settlementOf(
  session: Session,
  pass: Pass,
  { mode, table, stage }: PassTable,
  copy: Copy,
): Promise<Settlement> {
  const { dialect } = session;
  if (stage === null) return { empty: false, missing: 0, gone: 0 };
  if (mode === "replace" || table.key.length === 0) {
    const brought = await session.number(`SELECT count(*) FROM ${stage.relation}`);
    return { empty: brought === 0, missing: 0, gone: Math.max(0, (await countLive(session, copy)) - brought) };
  }
  await analyze(session, stage.relation);
  // Both counts use one narrowing, because a narrowing reads both sides whole.
  const compared = mode === "keys" ? versionOf(table) : [];
  const narrowed = dialect.merging.narrow(
    dialect,
    table,
    copy,
    stage,
    compared,
    mode === "keys" ? table.version : null,
    rowsOf(pass),
  );
  const counted = (query: string): string => `(SELECT count(*) FROM (${query}) counted)`;
  const goneRows = gone(dialect, pass, table, copy, narrowed);
  const expires = table.columns.find((column) => column.expires === true)?.name ?? null;
  const knows = expires !== null && storedType(dialect, copy, expires)?.kind === "UTC_DATETIME";
  const expired = knows ? `${goneRows} AND t.${dialect.quote(expires)} <= ${timestamp(pass.asOf)}` : null;
  const [counts] = await session.rows(
    `${narrowed.prefix} SELECT (SELECT count(*) FROM (SELECT 1 FROM ${stage.relation} LIMIT 1) read) AS some,
      ${mode === "keys" ? counted(missing(dialect, table, copy, narrowed)) : "0"} AS missing,
      ${counted(goneRows)} AS gone, ${expired === null ? "0" : counted(expired)} AS expired`,
  );
  return {
    empty: Number(counts!["some"]) === 0,
    missing: Number(counts!["missing"]),
    gone: Number(counts!["gone"]),
    ...(knows ? { expired: Number(counts!["expired"]) } : {}),
  };
}

/**
 * Whether the copy has the keys and the versions of a sweep in memory, and no others (but for one chance in 2⁶⁴). It is asked
 * first, because most sweeps find nothing. (Measured in DuckDB, 100 rows: sums take half as long as a join.)
 */
export async function isUnchanged(
  session: Session,
  { table, stage, unstaged }: PassTable,
  copy: Copy,
): Promise<boolean> {
  const { hash, quote, sumType } = session.dialect;
  const { deleted } = quotedSystem(session.dialect, copy);
  const columns = [...stage!.columns].map(([name, type]) => ({ name, sql: staged(session.dialect, name), type }));
  const copied = columns.map(({ name, sql }) => `${quote(name)} AS ${sql}`);
  // If a version is NULL, the row may have changed.
  const untold = table.version === null ? "false" : `${staged(session.dialect, table.version)} IS NULL`;
  const signed = (sign: 1 | -1): string => `${sign} AS n, ${sign} * CAST(${hash(columns)} AS ${sumType}) AS h`;
  const [sums] = await session.over(
    table,
    stage!.columns,
    unstaged!.batches,
    (
      source,
    ) => `SELECT count(*) FILTER (WHERE untold) + abs(coalesce(sum(n), 0)) + abs(coalesce(sum(h), 0)) AS differing
      FROM (SELECT ${signed(1)}, ${untold} AS untold FROM ${source} s
        UNION ALL SELECT ${signed(-1)}, false AS untold
        FROM (SELECT ${copied.join(", ")} FROM ${copy.relation} WHERE NOT ${deleted}) t) rows`,
  );
  return Number(sums!["differing"]) === 0;
}

/** Completes a later full pass: writes rows that differ, and deletes rows that the pass did not read. */
export async function settleRows(
  writing: Writing,
  pass: Pass,
  table: Table,
  old: Copy,
  stage: Stage,
  deletes: Deletes,
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  const { session } = writing;
  const { merging } = session.dialect;
  if (table.key.length > 0) await merging.keepLast(session, table, stage, pass.distinct === true);
  const copy = await merging.makeRoom(session, table, old, stage);
  const written = await merging.merge(writing, table, copy, { stage, flagged: false, before: pass.opened });
  const { deleted } = deletes === "find" ? await settleKeys(writing, pass, table, copy, stage) : noChanges;
  return { changes: { ...written, deleted }, copy };
}

/** Deletes rows whose keys the pass did not read. */
export function settleKeys(writing: Writing, pass: Pass, table: Table, copy: Copy, stage: Stage): Promise<Changes> {
  return deleteRows(writing, table, copy, goneKeys(writing.session.dialect, pass, table, copy, stage));
}
