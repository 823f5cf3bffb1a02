import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import { settingsOf, tableSettings } from "../connection.ts";
import { atDestination } from "../lease.ts";
import { decide, type Decision, withoutStream } from "../plan/decide.ts";
import { nextState, wholeState } from "../plan/next-state.ts";
import { planPass } from "../plan/plan-pass.ts";
import { knownTables, withSeenColumns } from "../selection/discover.ts";
import { checkColumnsKept, scopeFor } from "../selection/scope.ts";
import { projectTable } from "../selection/selection.ts";
import { type StoredTable, storedTable, type SyncContext } from "./context.ts";
import { abandonPass, closePass, openPass } from "./passes.ts";
import { readPass } from "./read-pass.ts";
import { deletesStopped, settle } from "./settle.ts";
import type { Writer } from "./writer.ts";

/** How often a table that is altered while it is read is planned again, if it got no new or wider columns by that. */
const replans = 3;
/** How often a sync reads a table whole because its stream does not go on from the copy. */
const mostStartOver = 2;

/** Brings the copy of one table up to date. If the table is altered while it is read, it is discovered and planned again. */
export async function syncTable(table: Table, stored: StoredTable, context: SyncContext): Promise<void> {
  const { connection, writer, signal, report } = context;
  let current = table;
  let known = stored;
  let widest = table;
  for (let attempt = 1; ; attempt++) {
    try {
      return await syncAsPlanned(current, known, context);
    } catch (thrown) {
      const altered = thrown instanceof HeadwatersError && thrown.code === "TABLE_CHANGED";
      if (!altered || attempt > replans) throw thrown;
      report({ kind: "retry", table: table.id, error: thrown, milliseconds: 0 });
      await writer.commit();
      const durable = await atDestination(connection.warehouse.load());
      const tables = await connection.source.discover(signal, knownTables(durable));
      const now = tables.find((candidate) => candidate.id === table.id);
      if (now === undefined)
        throw new HeadwatersError("TABLE_UNKNOWN", `table "${table.id}" was dropped while it was read`);
      current = projectTable(now, connection);
      const wider = unite(widest, current);
      // This ends: a source has a limited number of columns, each with a limited number of types to go through.
      if (!hasColumnsOf(widest, wider)) attempt = 0;
      widest = wider;
      known = storedTable(durable, table.id);
    }
  }
}

async function syncAsPlanned(discovered: Table, stored: StoredTable, context: SyncContext): Promise<void> {
  const { connection, flags, writer, started, signal } = context;
  let table = withSeenColumns(discovered, [stored.state?.table, stored.open?.tables[0]], connection);
  const own = tableSettings(connection, table.id);
  const scope = scopeFor(connection, table.id, stored.state?.scope ?? stored.open?.scope ?? null);
  const settings = settingsOf(connection, table.id);
  const abilities = { ...connection.capabilities, fullPass: connection.warehouse.fullPass?.(table.id) ?? null };
  const decideWith = (open: Pass | null): Decision =>
    decide(table, scope, stored.state, open, flags, settings, abilities, new Date(started));
  let { state } = stored;
  let decision = decideWith(stored.open);
  checkColumnsKept(state?.table ?? stored.open?.tables[0] ?? null, own, flags.acceptScope);
  let before = await rowsBefore(decision, table, writer);
  if (decision.abandon !== null) await abandonPass(decision.abandon, table.id, writer);
  if (decision.resume !== null) {
    const pass = await connection.source.resume(decision.resume, signal);
    if (pass === null) {
      await abandonPass(decision.resume, table.id, writer);
      decision = decideWith(null);
    } else {
      await writer.discard(pass, null);
      state = await runPass(pass, table, state, stored.progress, context);
      table = state.table;
      // The copy was not whole, or was settled just now: the sweep that follows deletes from what it is now.
      if (pass.kind === "full") before = await rowsBefore(decision, table, writer);
    }
  }
  const passes = [...decision.passes];
  let startedOver = 0;
  for (let index = 0; index < passes.length || state?.reread === true; index++) {
    const kind = passes[index] ?? "full";
    const how = { scope, replace: decision.replace && index === 0 };
    const states = new Map(state === null ? [] : [[table.id, state]]);
    const planned = await planPass(connection.source, [table], kind, states, how, signal);
    if (kind === "stream" && planned.startsOver === true) {
      if (++startedOver > mostStartOver) throw streamLost(table.id);
      const instead = withoutStream(table, abilities);
      before = await rowsBefore({ ...decision, passes: instead }, table, writer);
      passes.splice(index--, 1, ...instead, "stream");
      continue;
    }
    state = await runPass(await openPass({ ...planned, ...before }, [], writer), table, state, [], context);
    table = state.table;
    // Before a stream that follows, which goes on from it.
    if (kind === "keys" && state.reread === true) passes.splice(index + 1, 0, "full");
  }
  // Everything else has arrived, but the copy is not whole without the deletes.
  if (state?.held !== undefined) throw deletesStopped(table.id, state.held, settings.maxDeleteFraction);
}

/** Reads what is left of a pass, settles and closes it. Resolves to the state that follows from it. */
async function runPass(
  pass: Pass,
  table: Table,
  state: TableState | null,
  progress: readonly Progress[],
  context: SyncContext,
): Promise<TableState> {
  const { connection, writer, report, signal } = context;
  const began = performance.now();
  const { tables } = await readPass(pass, [table], progress, context);
  const current = tables.get(table.id)!;
  report({ kind: "settling", table: table.id });
  const reading: Reading = { signal, batchBytes: connection.settings.batchBytes, until: "caught up", path: "fast" };
  const { how: settled, pass: closing } = await settle(pass, current, state, reading, context);
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
  const next = nextState(pass, current, state, milliseconds, held);
  await closePass(closing, new Map([[table.id, next]]), context, typeof settled === "string" ? settled : "hold");
  return next;
}

/** The rows of the copy before this sync writes any, if it may delete some. */
async function rowsBefore({ resume, passes }: Decision, table: Table, writer: Writer): Promise<Pick<Pass, "copyRows">> {
  const deletes = resume !== null || passes.some((kind) => kind === "full" || kind === "keys");
  return deletes ? { copyRows: await writer.run(table.id, (transaction) => transaction.count(table)) } : {};
}

function streamLost(table: string): HeadwatersError {
  return new HeadwatersError("READ_CONFLICT", `table "${table}": its stream was lost again while the table was read`, {
    hint: "Look whether something else reads the slot, drops it or truncates the table; then sync again.",
  });
}

/** The part of a pass's splits that this sync read, as far as it is known: a split that continued counts as a whole one. */
function partRead({ splits }: Pass, progress: readonly Progress[]): number {
  const before = progress.filter(({ done }) => done).length;
  return Math.max(1, splits.length - before) / Math.max(1, splits.length);
}
