import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Pass, Plan, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Comparison, Difference } from "../../protocol/readable.ts";
import type { Reading, Source } from "../../protocol/source.ts";
import { cursorShowsAll, type Table, type TableState } from "../../protocol/table.ts";
import { Semaphore } from "../../toolkit/semaphore.ts";
import { unite } from "../../toolkit/types.ts";
import { withChosenColumns } from "../selection/projection.ts";
import { type Connection, tableSettings } from "../connection.ts";
import { coveredBy } from "../plan/decide.ts";
import { discover, knownTables } from "../selection/discover.ts";
import { type RetryPolicy, waitAfter } from "../../net/retry.ts";
import { retryPolicy, retryingSource } from "../run/retrying-source.ts";
import { scopeOf } from "../selection/scope.ts";
import { askedFor, vanishedFrom } from "../selection/selection.ts";

/**
 * - `CONVERGED`: source and copy are equal.
 * - `NOT PROVEN`: they differ, and the source has moved since the sync: that may be why.
 * - `DIVERGED`: they differ, and nothing explains it.
 */
export type Verdict = "CONVERGED" | "NOT PROVEN" | "DIVERGED";

export interface TableVerdict {
  readonly table: string;
  readonly verdict: Verdict;
  /** Rows on both sides; `null` where they could not be counted. */
  readonly sourceRows: number | null;
  readonly copyRows: number | null;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** A few of each kind. */
  readonly shown: readonly Difference[];
  /** What the verdict rests on, in whole sentences. */
  readonly reasons: readonly string[];
  readonly milliseconds: number;
}

export interface VerifyReport {
  readonly verdict: Verdict;
  readonly tables: readonly TableVerdict[];
}

export type VerifyEvent =
  | {
      readonly kind: "verifying";
      readonly table: string;
      readonly reading: 1 | 2;
      readonly estimatedRows: number | null;
    }
  | { readonly kind: "read"; readonly table: string; readonly rows: number }
  | { readonly kind: "verified"; readonly result: TableVerdict };

export interface VerifyOptions {
  readonly signal: AbortSignal;
  /** Only these of the selected tables. */
  readonly tables?: readonly string[];
  /** Differences of each kind to show. */
  readonly limit?: number;
}

/**
 * Compares source and copy: counts and order-free digests by buckets of the key's hash, then the rows of buckets that
 * differ. Reads the source by another path than a sync does, where it has one. Writes nothing to the copy.
 */
export async function verify(
  given: Connection,
  options: VerifyOptions,
  report: (event: VerifyEvent) => void,
): Promise<VerifyReport> {
  const chosen = withChosenColumns(given);
  const connection = { ...chosen, source: retryingSource(chosen.source, retryPolicy(given)) };
  const { warehouse } = connection;
  const lease = await warehouse.acquire({ host: hostname(), pid: process.pid, since: new Date().toISOString() });
  try {
    const stored = await warehouse.load();
    const { tables, refused } = await discover(connection, options.signal, knownTables(stored));
    const present = [...tables.map(({ id }) => id), ...refused.keys()];
    const names = askedFor([...present, ...vanishedFrom(stored, connection, present)], options.tables ?? []);
    const verdicts: TableVerdict[] = [];
    for (const name of names) {
      if (refused.has(name)) throw refused.get(name)!;
      const discovered = tables.find(({ id }) => id === name) ?? null;
      const state = stored.tables.get(name) ?? null;
      const result = await verifyTable(name, discovered, state, connection, options, report);
      verdicts.push(result);
      report({ kind: "verified", result });
    }
    return { verdict: worst(verdicts.map((table) => table.verdict)), tables: verdicts };
  } finally {
    await warehouse.release(lease);
  }
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes("DIVERGED")) return "DIVERGED";
  return verdicts.includes("NOT PROVEN") ? "NOT PROVEN" : "CONVERGED";
}

/** `discovered`: the table as it stands; `null`: only the copy has it. */
async function verifyTable(
  name: string,
  discovered: Table | null,
  state: TableState | null,
  connection: Connection,
  options: VerifyOptions,
  report: (event: VerifyEvent) => void,
): Promise<TableVerdict> {
  const began = performance.now();
  const nothing = { sourceRows: null, copyRows: null, missing: 0, extra: 0, different: 0, shown: [] };
  const ended = (result: Omit<TableVerdict, "table" | "milliseconds">): TableVerdict => ({
    ...result,
    table: name,
    milliseconds: Math.round(performance.now() - began),
  });
  const unproven = (reason: string): TableVerdict => ended({ ...nothing, verdict: "NOT PROVEN", reasons: [reason] });
  if (discovered === null)
    return unproven("The source no longer shows the table: there is nothing to compare the copy with.");
  if (state === null) return unproven("The table was never copied whole: run sync first.");
  if (state.scope !== scopeOf(connection.scope, discovered.id, tableSettings(connection, discovered.id))) {
    return unproven(
      "The copy was made with another selection, server or database than is configured now: run sync first.",
    );
  }
  if (!connection.capabilities.passes.includes("full"))
    return unproven("The source tells what changed and nothing else: there is nothing to compare the copy with.");
  const inferred = connection.capabilities.schema === "inferred";
  if (!coveredBy(state.table, discovered, inferred))
    return unproven("The table was altered in the source since the last sync: sync, then verify again.");
  const table = inferred ? unite(state.table, discovered) : discovered;
  await using comparison = await connection.warehouse.compare(table);
  report({ kind: "verifying", table: table.id, reading: 1, estimatedRows: table.estimatedRows });
  const wider = await readAll(table, connection, options.signal, async (rows) => {
    await comparison.digest(rows);
    report({ kind: "read", table: table.id, rows: rows.length });
  });
  // Rows have columns that the copy was not compared by.
  if (wider !== null) return verifyTable(name, wider, state, connection, options, report);
  const digests = await comparison.digested();
  const counts = { ...nothing, sourceRows: digests.source, copyRows: digests.copy };
  if (digests.differing === 0) {
    return ended({ ...counts, verdict: "CONVERGED", reasons: [`All ${digests.source} rows are equal.`] });
  }
  report({ kind: "verifying", table: table.id, reading: 2, estimatedRows: table.estimatedRows });
  await readAll(table, connection, options.signal, async (rows) => {
    await comparison.collect(rows);
    report({ kind: "read", table: table.id, rows: rows.length });
  });
  return ended({ ...counts, ...(await judge(table, state, comparison, options.limit ?? 5)) });
}

async function judge(
  table: Table,
  state: TableState,
  comparison: Comparison,
  limit: number,
): Promise<Pick<TableVerdict, "verdict" | "reasons" | "missing" | "extra" | "different" | "shown">> {
  const found = await comparison.differences(limit);
  const { missing, extra, different, repeated, shown } = found;
  const counts = { missing, extra, different, shown };
  // Patterns that overlap give a key twice: only the rows themselves can be compared then, and they were.
  if (missing + extra + different === 0 && repeated > 0) {
    const reason = `All rows are equal; the source gave ${repeated} of them more than once.`;
    return { ...counts, verdict: "CONVERGED", reasons: [reason] };
  }
  if (missing + extra + different === 0) {
    return {
      ...counts,
      verdict: "NOT PROVEN",
      reasons: ["The source was written to between the two readings; verify again."],
    };
  }
  const moved = shown.filter((difference) => movedSince(difference, state));
  const reasons: string[] = [];
  if (moved.length > 0) {
    reasons.push(
      `Rows were written in the source after the copy's read point (${state.asOf}): sync, then verify again.`,
    );
  }
  // What only a sweep finds, where none was made since.
  const unswept = (kind: Difference["kind"]): boolean =>
    state.sweptAt < state.asOf && (kind === "extra" || (table.cursor !== null && !cursorShowsAll(table)));
  if (shown.some(({ kind }) => unswept(kind))) {
    const what = cursorShowsAll(table) ? "Deletes" : "Deletes, and changes that the cursor column does not show,";
    reasons.push(`${what} were last looked for at ${state.sweptAt}: run sync with --sweep, then verify again.`);
  }
  // All that is shown must be explained.
  const unexplained = shown.filter((difference) => !moved.includes(difference) && !unswept(difference.kind));
  if (unexplained.length === 0 && reasons.length > 0) return { ...counts, verdict: "NOT PROVEN", reasons };
  const columns = table.version === null ? " The table has no column that tells when a row changed." : "";
  return {
    ...counts,
    verdict: "DIVERGED",
    reasons: [
      `Source and copy differ in ${missing + extra + different} rows.${columns}`,
      ...reasons,
      "Run sync with --full to write what differs.",
    ],
  };
}

/** Whether the source's row is younger than the copy: its version differs from the copy's and lies after the read point. */
function movedSince({ kind, version }: Difference, state: TableState): boolean {
  if (kind === "extra" || version.source === null || version.source === version.copy) return false;
  const [moment] = version.source.replace(" ", "T").split("|") as [string];
  // Others are digests, which a lenient parser takes for years.
  if (!/^\d{4}-\d\d-\d\dT/.test(moment)) return false;
  // One without a zone is taken as UTC, never as of the zone of this process.
  const written = Date.parse(/(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(moment) ? moment : `${moment}Z`);
  return Number.isFinite(written) && written >= Date.parse(state.asOf) - clockTolerance;
}

/** Writers stamp rows by clocks of their own, before they commit: milliseconds. */
const clockTolerance = 1_000;

/**
 * Reads every row once by the independent path, splits in parallel; `take` is called for one batch after the other. Ends
 * early where rows need more columns, or wider ones, and resolves to the table with these; else to `null`.
 */
async function readAll(
  table: Table,
  connection: Connection,
  signal: AbortSignal,
  take: (rows: Rows) => Promise<void>,
): Promise<Table | null> {
  const { source, settings } = connection;
  const plan = await source.plan([table], "full", {}, signal);
  const pass = verifyingPass(plan, table);
  const stop = new AbortController();
  const turn = new Semaphore(1);
  const reading: VerifyReading = {
    source,
    retryPolicy: retryPolicy(connection),
    how: {
      signal: AbortSignal.any([signal, stop.signal]),
      batchBytes: settings.batchBytes,
      until: "caught up",
      path: "independent",
    },
    async take(rows) {
      const release = await turn.acquire(1, reading.how.signal);
      await take(rows).finally(release);
    },
  };
  // Every split listens to it, in several places.
  setMaxListeners(0, reading.how.signal);
  const left = pass.splits.values();
  let wider: Table | null = null;
  const readNext = async (): Promise<void> => {
    for (const split of left) {
      const needed = await readOne(pass, split, reading);
      if (needed !== null) wider = unite(wider ?? table, needed);
      if (wider !== null) stop.abort();
    }
  };
  const failures: unknown[] = [];
  const readOrStop = (): Promise<void> =>
    readNext().catch((thrown: unknown) => {
      failures.push(thrown);
      stop.abort();
    });
  await Promise.all(Array.from({ length: settings.parallel }, readOrStop));
  // What fails after the stop fails for it.
  if (wider === null && failures.length > 0) throw failures[0];
  return wider;
}

/** What a split is read with. */
interface VerifyReading {
  readonly source: Source;
  readonly retryPolicy: RetryPolicy;
  readonly how: Reading;
  take(rows: Rows): Promise<void>;
}

/** Rows count once their checkpoint has come: a reading that fails goes on from there. Resolves as {@link readAll} does. */
async function readOne(
  pass: Pass,
  split: Split,
  { source, retryPolicy, how, take }: VerifyReading,
): Promise<Table | null> {
  let state: Json = null;
  for (let attempt = 1; ; attempt++) {
    let held: Rows[] = [];
    try {
      for await (const operation of source.read(pass, split, state, how)) {
        if (operation.kind === "schema") return operation.table;
        if (operation.kind === "upsert") held.push(operation.rows);
        if (operation.kind !== "checkpoint") continue;
        for (const rows of held) await take(rows);
        held = [];
        state = operation.state;
      }
      for (const rows of held) await take(rows);
      return null;
    } catch (thrown) {
      await waitAfter(thrown, attempt, pass.tables[0]!.id, how.signal, retryPolicy);
    }
  }
}

function verifyingPass(plan: Plan, table: Table): Pass {
  if (plan.splits.length === 0)
    throw new HeadwatersError("DEFECT", `the plan of a full pass over "${table.id}" has no splits`);
  const now = new Date().toISOString();
  return {
    ...plan,
    id: "verify",
    kind: "full",
    tables: [table],
    opened: now,
    scope: scopeOf(null, table.id),
    replace: false,
  };
}
