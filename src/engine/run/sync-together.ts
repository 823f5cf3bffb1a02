import { nextOfStream, type Pass, type Progress } from "../../protocol/pass.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { decideTogether, openTogether, scopeIn, type TogetherDecision } from "../plan/decide-together.ts";
import { planPass } from "../plan/plan-pass.ts";
import { withSeenColumns } from "../selection/discover.ts";
import type { SyncContext } from "./context.ts";
import { abandonPass, closePass, openPass } from "./passes.ts";
import { readPass } from "./read-pass.ts";
import type { Reached } from "./read-split.ts";

/** Brings all tables of a source that reads them together up to date, by one `stream` pass. */
export async function syncTogether(discovered: readonly Table[], stored: Stored, context: SyncContext): Promise<void> {
  const { connection, flags, writer, signal } = context;
  const inPass = new Map(openTogether(stored, discovered)?.tables.map((table) => [table.id, table]));
  const tables = discovered.map((table) =>
    withSeenColumns(table, [stored.tables.get(table.id)?.table, inPass.get(table.id)], connection),
  );
  const decision = decideTogether(tables, stored, flags, connection);
  const resumed = decision.resume === null ? null : await connection.source.resume(decision.resume, signal);
  if (resumed !== null) {
    const progress = stored.progress.filter((entry) => entry.pass === resumed.id);
    await writer.discard(resumed, null);
    return readTogether(await withTables(resumed, tables, context), progress, context);
  }
  const open = decision.abandon ?? decision.resume;
  if (open !== null) await abandonPass(open, tables[0]!.id, writer);
  return readTogether(await openTogetherPass(tables, decision, context), [], context);
}

/** Adds the columns that became known, or became wider, since a pass was planned. */
async function withTables(pass: Pass, tables: readonly Table[], { writer }: SyncContext): Promise<Pass> {
  const changed = tables.filter((table, index) => JSON.stringify(table) !== JSON.stringify(pass.tables[index]));
  for (const table of changed)
    await writer.run(table.id, async (transaction) => transaction.write(pass, null, { kind: "schema", table }));
  return { ...pass, tables };
}

/** If the source starts over, all copies are emptied. So is a copy without a state: it may have rows of a first pass. */
async function openTogetherPass(
  tables: readonly Table[],
  { scope, states }: TogetherDecision,
  { connection, writer, signal }: SyncContext,
): Promise<Pass> {
  const how = { scope, replace: false };
  const pass = await planPass(connection.source, tables, "stream", states, how, signal);
  const emptied = tables.map(({ id }) => id).filter((id) => pass.startsOver === true || !states.has(id));
  return openPass(pass, emptied, writer);
}

async function readTogether(pass: Pass, progress: readonly Progress[], context: SyncContext): Promise<void> {
  const { tables, reached } = await readPass(pass, pass.tables, progress, context);
  const states = new Map([...reached].map(([split, { state }]) => [split, state]));
  const next = [...tables.values()].map((table): [string, TableState] => {
    const scope = scopeIn(context.connection, table.id);
    const asOf = oldestAsOf(pass, table.id, reached);
    const times = { asOf, readAt: asOf, sweptAt: asOf, sweepMilliseconds: null };
    return [table.id, { table, next: nextOfStream(pass, table.id, states), scope, ...times }];
  });
  await closePass(pass, new Map(next), context);
}

/** The read point of a table is the oldest one of its splits. */
function oldestAsOf({ splits, asOf }: Pass, table: string, reached: ReadonlyMap<string, Reached>): string {
  const moments = splits
    .filter((split) => split.tables.includes(table))
    .map((split) => reached.get(split.id)?.asOf ?? asOf);
  return moments.sort((a, b) => Date.parse(a) - Date.parse(b))[0] ?? asOf;
}
