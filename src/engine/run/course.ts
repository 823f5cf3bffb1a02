import type { Pass, PassKind, Progress } from "../../protocol/pass.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { settingsOf, tableSettings } from "../connection.ts";
import { decide, type Decision, withoutStream } from "../plan/decide.ts";
import { nextState, wholeState } from "../plan/next-state.ts";
import { planPass } from "../plan/plan-pass.ts";
import { withSeenColumns } from "../selection/discover.ts";
import { checkColumnsKept, scopeFor } from "../selection/scope.ts";
import type { StoredTable, SyncContext } from "./context.ts";
import { abandonPass, closePass, openPass } from "./passes.ts";
import { deletesStopped, settle } from "./settle.ts";
import type { Writer } from "./writer.ts";

/** How often a sync reads a table whole because its stream does not go on from the copy. */
const mostStartOver = 2;

/** What a sync still has to do for a table, besides the open pass. Plain JSON: any process can go on with it. */
export interface Course {
  /** The passes to plan, in order. */
  readonly passes: readonly PassKind[];
  readonly scope: string;
  /** The first of `passes` replaces the copy. */
  readonly replace: boolean;
  /** As in the passes that are planned. */
  readonly copyRows?: number;
  /** Whether an earlier sync began the open pass. */
  readonly resumed: boolean;
  readonly startedOver: number;
}

/** A table between two steps of its sync. */
export interface TableStep {
  readonly table: Table;
  readonly state: TableState | null;
  readonly course: Course;
  /** The pass to read; `null`: the copy is up to date. */
  readonly open: { readonly pass: Pass; readonly progress: readonly Progress[] } | null;
}

/** Decides what a table needs, and opens its first pass or goes on with a stored one. */
export async function beginTable(discovered: Table, stored: StoredTable, context: SyncContext): Promise<TableStep> {
  const { connection, flags, writer, started, signal } = context;
  const { state } = stored;
  const table = withSeenColumns(discovered, [state?.table, stored.open?.tables[0]], connection);
  const own = tableSettings(connection, table.id);
  const scope = scopeFor(connection, table.id, state?.scope ?? stored.open?.scope ?? null);
  const settings = settingsOf(connection, table.id);
  const abilities = { ...connection.capabilities, fullPass: connection.warehouse.fullPass?.(table.id) ?? null };
  const decideWith = (open: Pass | null): Decision =>
    decide(table, scope, state, open, flags, settings, abilities, new Date(started));
  let decision = decideWith(stored.open);
  checkColumnsKept(state?.table ?? stored.open?.tables[0] ?? null, own, flags.acceptScope);
  const before = await rowsBefore(decision, table, writer);
  if (decision.abandon !== null) await abandonPass(decision.abandon, table.id, writer);
  const course = { scope, ...before, resumed: false, startedOver: 0 };
  if (decision.resume !== null) {
    const pass = await connection.source.resume(decision.resume, signal);
    if (pass !== null) {
      await writer.discard(pass, null);
      const { passes, replace } = decision;
      return {
        ...{ table, state, course: { ...course, passes, replace, resumed: true } },
        open: { pass, progress: stored.progress },
      };
    }
    await abandonPass(decision.resume, table.id, writer);
    decision = decideWith(null);
  }
  const { passes, replace } = decision;
  return openNext({ table, state, course: { ...course, passes, replace }, open: null }, context);
}

/**
 * Settles and closes a pass whose rows are all read, and opens the next one. `table`: with all columns that its rows
 * needed. `began`: when the reading began, as `performance.now` tells.
 */
export async function endPass(
  { state, course, open }: TableStep,
  table: Table,
  began: number,
  context: SyncContext,
): Promise<TableStep> {
  const { pass, progress } = open!;
  const next = await closeRead(pass, table, state, progress, began, context);
  // The copy was not whole, or was settled just now: the next sweep's limit applies to its current rows.
  const before =
    course.resumed && pass.kind === "full"
      ? await rowsBefore({ resume: pass, passes: course.passes }, next.table, context.writer)
      : {};
  // Before a stream that follows, which goes on from it.
  const passes = pass.kind === "keys" && next.reread === true ? (["full", ...course.passes] as const) : course.passes;
  return openNext({ table: next.table, state: next, course: { ...course, ...before, passes }, open: null }, context);
}

/** Opens the next pass of a table, if there is one left. */
async function openNext(step: TableStep, context: SyncContext): Promise<TableStep> {
  const { connection, writer, report, signal } = context;
  const { table, state } = step;
  let { course } = step;
  for (;;) {
    const [kind = state?.reread === true ? "full" : null, ...later] = course.passes;
    if (kind === null) break;
    const { scope, replace, copyRows } = course;
    const states = new Map(state === null ? [] : [[table.id, state]]);
    const planned = await planPass(connection.source, [table], kind, states, { scope, replace }, signal);
    if (kind === "stream" && planned.startsOver === true) {
      if (planned.lost !== undefined) report({ kind: "lost", table: table.id, reason: planned.lost });
      const startedOver = course.startedOver + 1;
      if (startedOver > mostStartOver) throw streamLost(table.id);
      const abilities = { ...connection.capabilities, fullPass: connection.warehouse.fullPass?.(table.id) ?? null };
      const instead = withoutStream(table, abilities);
      const before = await rowsBefore({ resume: null, passes: instead }, table, writer);
      course = { ...course, ...before, passes: [...instead, "stream", ...later], startedOver };
      continue;
    }
    const pass = await openPass({ ...planned, ...(copyRows === undefined ? {} : { copyRows }) }, [], writer);
    return {
      ...{ table, state, course: { ...course, passes: later, replace: false, resumed: false } },
      open: { pass, progress: [] },
    };
  }
  // Everything else has arrived, but the copy is not whole without the deletes.
  if (state?.held !== undefined)
    throw deletesStopped(table.id, state.held, settingsOf(connection, table.id).maxDeleteFraction);
  return { table, state, course, open: null };
}

/** Settles and closes a pass. Resolves to the state that follows from it. */
async function closeRead(
  pass: Pass,
  table: Table,
  state: TableState | null,
  progress: readonly Progress[],
  began: number,
  context: SyncContext,
): Promise<TableState> {
  const { connection, writer, report, signal } = context;
  report({ kind: "settling", table: table.id });
  const reading: Reading = { signal, batchBytes: connection.settings.batchBytes, until: "caught up", path: "fast" };
  const { how: settled, pass: closing } = await settle(pass, table, state, reading, context);
  if (settled === "reread") {
    await abandonPass(pass, table.id, writer);
    return { ...wholeState(state, pass), reread: true };
  }
  const held = typeof settled === "string" ? null : settled;
  if (held !== null && pass.replace) {
    // The copy can only be replaced as a whole.
    await abandonPass(pass, table.id, writer);
    throw deletesStopped(table.id, held, settingsOf(connection, table.id).maxDeleteFraction);
  }
  const milliseconds = Math.round((performance.now() - began) / partRead(pass, progress));
  const next = nextState(pass, table, state, milliseconds, held);
  await closePass(closing, new Map([[table.id, next]]), context, typeof settled === "string" ? settled : "hold");
  return next;
}

/** The rows of the copy before this sync writes any, if it may delete some. */
async function rowsBefore(
  { resume, passes }: Pick<Decision, "resume" | "passes">,
  table: Table,
  writer: Writer,
): Promise<Pick<Pass, "copyRows">> {
  const deletes = resume !== null || passes.some((kind) => kind === "full" || kind === "keys");
  return deletes ? { copyRows: await writer.run(table.id, (transaction) => transaction.count(table)) } : {};
}

function streamLost(table: string): HeadwatersError {
  return new HeadwatersError("READ_CONFLICT", `table "${table}": its stream was lost again while the table was read`, {
    hint: "Check whether something else reads the slot, drops it or truncates the table. Then sync again.",
  });
}

/** The part of a pass's splits that this sync read, as far as it is known: a split that continued counts as a whole one. */
function partRead({ splits }: Pass, progress: readonly Progress[]): number {
  const before = progress.filter(({ done }) => done).length;
  return Math.max(1, splits.length - before) / Math.max(1, splits.length);
}
