import { randomUUID } from "node:crypto";
import { asHeadwatersError, type ErrorCode } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Comparison, Difference, Seal } from "../../protocol/readable.ts";
import type { RunRecord, TableRun, Verdict } from "../../protocol/state-store.ts";
import { cursorShowsAll, type Table, type TableState } from "../../protocol/table.ts";
import { unite } from "../../toolkit/types.ts";
import { type Connection } from "../connection.ts";
import { type EventOrigin, reporter } from "../events.ts";
import { atDestination } from "../lease.ts";
import { coveredBy } from "../plan/decide.ts";
import { retryPolicy, retryingSource } from "../run/retrying-source.ts";
import { discover } from "../selection/discover.ts";
import { withProjection } from "../selection/projection.ts";
import { scopeFor } from "../selection/scope.ts";
import { narrowTo } from "../selection/selection.ts";
import { readIndependently } from "./read-independently.ts";

export interface TableVerdict {
  readonly table: string;
  readonly verdict: Verdict;
  /** Rows on both sides; `null`: they could not be counted. */
  readonly sourceRows: number | null;
  readonly copyRows: number | null;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** A few of each kind. */
  readonly shown: readonly Difference[];
  /** The reasons for the verdict, in whole sentences. */
  readonly reasons: readonly string[];
  readonly milliseconds: number;
}

export interface VerifyReport {
  readonly verdict: Verdict;
  readonly tables: readonly TableVerdict[];
}

/** The record of a verify that came to an end. */
export function proofRecord<Begun extends Pick<RunRecord, "id" | "started">>(
  begun: Begun,
  { verdict, tables }: VerifyReport,
): Begun & RunRecord {
  return { ...begun, verdict, ended: new Date().toISOString(), outcome: "succeeded", tables: tables.map(proofOf) };
}

/** A table in the record of a verify. */
export function proofOf({ table, verdict, reasons, sourceRows, milliseconds }: TableVerdict): TableRun {
  const nothing = { passes: [], bytesRead: 0, inserted: 0, updated: 0, deleted: 0, asOf: null, error: null };
  return { ...nothing, table, outcome: "whole", rowsRead: sourceRows ?? 0, milliseconds, verdict, reasons };
}

/** What a `verify` reports while it runs. */
export type VerifyEvent = EventOrigin & VerifyHappening;

type VerifyHappening =
  | {
      readonly kind: "verifying";
      readonly table: string;
      readonly reading: 1 | 2;
      readonly estimatedRows: number | null;
    }
  | { readonly kind: "read"; readonly table: string; readonly rows: number }
  | { readonly kind: "verified"; readonly result: TableVerdict };

export interface VerifyOptions {
  /** The id of the run. Absent: a new one. */
  readonly id?: string;
  readonly signal: AbortSignal;
  /** Only these of the selected tables. */
  readonly tables?: readonly string[];
  /** Differences of each kind to show. */
  readonly limit?: number;
}

/**
 * Compares source and copy: first counts, and digests of rows (in any order) by buckets of the key's hash; then the rows
 * of the buckets that differ. Reads the source by another path than a sync does, if it has one. Does not change the copy.
 */
export async function verify(
  given: Connection,
  options: VerifyOptions,
  report: (event: VerifyEvent) => void,
): Promise<VerifyReport> {
  const projected = withProjection(given);
  const connection = { ...projected, source: retryingSource(projected.source, retryPolicy(given)) };
  const { warehouse } = connection;
  const tell = reporter<VerifyHappening>(connection.name, options.id ?? randomUUID(), report);
  let stored = await atDestination(warehouse.load());
  /** The state of a table. It is read again if a sync has written the copy since. */
  const stateOf = async (name: string, written: string | null): Promise<TableState | null> => {
    if (written !== null && written > (stored.lastStamp ?? "")) stored = await atDestination(warehouse.load());
    return stored.tables.get(name) ?? null;
  };
  const { tables, refused, vanished } = await discover(connection, options.signal, stored);
  const selected = [...tables.map(({ id }) => id), ...refused.keys(), ...vanished];
  const verdicts: TableVerdict[] = [];
  for (const name of narrowTo(selected, options.tables ?? [])) {
    const discovered = tables.find(({ id }) => id === name) ?? null;
    const result = await endedBy(name, options.signal, async () => {
      if (refused.has(name)) throw refused.get(name)!;
      return await verifyTable(name, discovered, stateOf, connection, options, tell);
    });
    verdicts.push(result);
    tell({ kind: "verified", result });
  }
  return { verdict: worst(verdicts.map((table) => table.verdict)), tables: verdicts };
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes("DIVERGED")) return "DIVERGED";
  return verdicts.includes("NOT PROVEN") ? "NOT PROVEN" : "CONVERGED";
}

/**
 * Errors that are about the connection, not about one table: no table can be verified. Every other error is the verdict of
 * the table that it came up at, and the others go on.
 */
const endsAll: ReadonlySet<ErrorCode> = new Set([
  "HOST_UNKNOWN",
  "CONNECTION_REFUSED",
  "CONNECTION_TIMEOUT",
  "CONNECTION_LOST",
  "SERVER_UNAVAILABLE",
  "PROTOCOL_MISMATCH",
  "TLS_MISMATCH",
  "TLS_UNVERIFIED",
  "LOGIN_FAILED",
  "DATABASE_UNKNOWN",
]);

/** What verifies a table, and the verdict where it fails. */
async function endedBy(table: string, signal: AbortSignal, work: () => Promise<TableVerdict>): Promise<TableVerdict> {
  const began = performance.now();
  try {
    return await work();
  } catch (thrown) {
    const error = asHeadwatersError(thrown);
    if (signal.aborted || endsAll.has(error.code)) throw thrown;
    const hint = error.hint === null ? "" : ` ${error.hint}`;
    return {
      ...nothing,
      table,
      verdict: "NOT PROVEN",
      reasons: [`${error.code}: ${error.message}.${hint}`],
      milliseconds: Math.round(performance.now() - began),
    };
  }
}

/** The state of a table, as its last write (a stamp) left it; `null` as the stamp: as it is known. */
type StateOf = (name: string, written: string | null) => Promise<TableState | null>;

/** `discovered`: the table as it is now; `null`: only the copy has it. */
async function verifyTable(
  name: string,
  discovered: Table | null,
  stateOf: StateOf,
  connection: Connection,
  options: VerifyOptions,
  report: (happening: VerifyHappening) => void,
): Promise<TableVerdict> {
  const began = performance.now();
  const ended = (result: Findings): TableVerdict => ({
    ...result,
    table: name,
    milliseconds: Math.round(performance.now() - began),
  });
  const state = await stateOf(name, null);
  const unproven = (reason: string): TableVerdict => ended({ ...nothing, verdict: "NOT PROVEN", reasons: [reason] });
  if (discovered === null)
    return unproven("The source no longer shows the table: there is nothing to compare the copy with.");
  if (state === null) return unproven("The table was never copied whole: run sync first.");
  if (state.scope !== scopeFor(connection, discovered.id, state.scope)) {
    return unproven(
      "The copy was made with another selection, server or database than is configured now: run sync first.",
    );
  }
  if (!connection.capabilities.passes.includes("full"))
    return unproven("The source only reports what changed: there is nothing to compare the copy with.");
  const inferred = connection.capabilities.schema === "inferred";
  if (!coveredBy(state.table, discovered, inferred))
    return unproven("The table was altered in the source since the last sync: sync, then verify again.");
  let table = inferred ? unite(state.table, discovered) : discovered;
  for (let attempt = 1; attempt <= mostReadings; attempt++) {
    const { wider, result } = await compareOnce(table, stateOf, connection, options, report);
    if (wider === null) return ended(result);
    table = wider;
  }
  return unproven("Its rows had new columns each time they were read: verify again once the source does not change.");
}

/**
 * How often a table is read if its rows turn out to have columns that are not compared yet. One reading finds all that
 * exist; more are needed only while the source changes.
 */
const mostReadings = 3;

/** Compares once. `wider`: the table with all columns of its rows, if some were new or wider and so were not compared. */
async function compareOnce(
  table: Table,
  stateOf: StateOf,
  connection: Connection,
  options: VerifyOptions,
  report: (happening: VerifyHappening) => void,
): Promise<{ readonly wider: Table | null; readonly result: Findings }> {
  await using comparison = await atDestination(connection.warehouse.compare(table));
  const state = (await stateOf(table.id, comparison.written))!;
  const read = async (reading: 1 | 2, take: (rows: Rows) => Promise<void>): Promise<Table | null> => {
    report({ kind: "verifying", table: table.id, reading, estimatedRows: table.estimatedRows });
    return await readIndependently(table, connection, options.signal, async (rows) => {
      await atDestination(take(rows));
      report({ kind: "read", table: table.id, rows: rows.length });
    });
  };
  const wider = await read(1, (rows) => comparison.digest(rows));
  if (wider !== null) return { wider, result: { ...nothing, verdict: "NOT PROVEN", reasons: [] } };
  const digests = await atDestination(comparison.digested());
  const counts = { ...nothing, sourceRows: digests.source, copyRows: digests.copy };
  if (digests.differing === 0) {
    const reasons = [`All ${digests.source} rows are equal.`];
    return { wider, result: { ...counts, verdict: "CONVERGED", reasons } };
  }
  await read(2, (rows) => comparison.collect(rows));
  // A stream shows deletes and every change, unless it also needs sweeps.
  const tellsAll = table.streamed === true && connection.capabilities.resweep === undefined;
  const looked = tellsAll ? { ...state, sweptAt: state.asOf } : state;
  const judged = await judge(table, looked, comparison, options.limit ?? 5);
  const rewritten = judged.verdict !== "CONVERGED" && (await atDestination(comparison.rewritten()));
  const reasons = ["A sync wrote to the copy while it was compared: verify again once the sync has ended."];
  return { wider, result: { ...counts, ...judged, ...(rewritten ? { verdict: "NOT PROVEN", reasons } : {}) } };
}

/** The result for a table. */
type Findings = Omit<TableVerdict, "table" | "milliseconds">;

const nothing = { sourceRows: null, copyRows: null, missing: 0, extra: 0, different: 0, shown: [] };

async function judge(
  table: Table,
  state: TableState,
  comparison: Comparison,
  limit: number,
): Promise<Pick<TableVerdict, "verdict" | "reasons" | "missing" | "extra" | "different" | "shown">> {
  const seal = await atDestination(comparison.seal());
  const found = await atDestination(comparison.differences(limit, (one) => explanationOf(one, table, state, seal)));
  const { missing, extra, different, repeated, moved, again, unexplained, shown } = found;
  const counts = { missing, extra, different, shown };
  const differ = missing + extra + different;
  const explanations = [
    ...found.explanations,
    ...(moved > 0
      ? [`The source returned ${moved} keys more than once, and their values changed while it was read: verify again.`]
      : []),
  ];
  if (differ + repeated + moved === 0) {
    // Patterns that overlap give a key twice. Then digests differ though the rows themselves, just compared, are equal.
    return again > 0
      ? {
          ...counts,
          verdict: "CONVERGED",
          reasons: [`All rows are equal; the source returned ${again} of them more than once.`],
        }
      : {
          ...counts,
          verdict: "NOT PROVEN",
          reasons: ["The source changed between the two readings; verify again."],
        };
  }
  if (unexplained === 0 && seal !== "broken") return { ...counts, verdict: "NOT PROVEN", reasons: explanations };
  const columns = table.version === null ? " The table has no column that shows when a row changed." : "";
  const reasons = [
    ...(repeated > 0
      ? [
          `KEY_DUPLICATE: the source has ${repeated} keys more than once, with different values, but the copy can hold only one row for each.`,
        ]
      : []),
    ...(differ > 0 ? [`Source and copy differ in ${differ} rows.${columns}`] : []),
    ...(seal === "broken" ? ["Something other than a sync changed the copy."] : []),
    ...explanations,
    ...(unexplained > repeated || seal === "broken" ? ["Run sync with --full to write what differs."] : []),
  ];
  return { ...counts, verdict: "DIVERGED", reasons };
}

/** Why a row may differ though the copy is right; `null`: there is no reason. */
function explanationOf(
  difference: Pick<Difference, "kind" | "version">,
  table: Table,
  state: TableState,
  seal: Seal,
): string | null {
  if (movedSince(difference, state))
    return `Rows were committed in the source after the copy's read point (${state.asOf}): sync, then verify again.`;
  const { kind } = difference;
  // Differences that only a sweep finds, if none was made since.
  if (state.sweptAt < state.asOf && (kind === "extra" || (table.cursor !== null && !cursorShowsAll(table)))) {
    const what = cursorShowsAll(table) ? "Deletes" : "Deletes, and changes that the cursor column does not show,";
    return `${what} were last looked for at ${state.sweptAt}: run sync with --sweep, then verify again.`;
  }
  // If versions are not moments (or are missing), they don't show when a row changed. Then the seal must show that the copy
  // did not change.
  if (momentOf(difference.version.source) !== null) return null;
  if (seal === "intact")
    return `The copy is exactly as the last sync left it, so the source has changed since (${state.asOf}): sync, then verify again.`;
  return seal === "none" && kind === "extra"
    ? `Rows that only the copy has may have been deleted in the source since ${state.sweptAt}: run sync with --sweep, then verify again.`
    : null;
}

/**
 * Whether the row may have changed after the read point: its version differs from the copy's, and is one that the pass need
 * not have seen.
 */
function movedSince(
  { kind, version }: Pick<Difference, "kind" | "version">,
  { asOf, unseenFrom }: TableState,
): boolean {
  if (kind === "extra" || version.source === version.copy) return false;
  const moment = momentOf(version.source);
  const from = Math.min(
    Date.parse(asOf) - clockTolerance,
    unseenFrom === undefined ? Infinity : Date.parse(unseenFrom),
  );
  return moment !== null && moment >= from;
}

/** The moment at the beginning of a version, in milliseconds; for a day, its end. `null`: there is none. */
function momentOf(version: string | null): number | null {
  const [moment] = (version ?? "").replace(" ", "T").split("|") as [string];
  if (/^\d{4}-\d\d-\d\d$/.test(moment)) return Date.parse(`${moment}T23:59:59.999Z`);
  // Other versions are digests, which a lenient parser would read as years.
  if (!/^\d{4}-\d\d-\d\dT/.test(moment)) return null;
  // A moment without a zone is UTC, never in the zone of this process.
  const parsed = Date.parse(/(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(moment) ? moment : `${moment}Z`);
  return Number.isFinite(parsed) ? parsed : null;
}

/** Writers stamp rows by their own clocks, before they commit. In milliseconds. */
const clockTolerance = 1_000;
