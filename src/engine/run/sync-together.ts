import { randomUUID } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { unite } from "../../toolkit/types.ts";
import { settingsOf, type SyncConnection, tableSettings } from "../connection.ts";
import { checkSchemaChange, sameKey } from "../plan/decide.ts";
import { type PassReading, readSplits } from "./read-splits.ts";
import { checkColumnsKept, checkScope, scopeOf } from "../selection/scope.ts";
import { abandon, type Syncing, withSeenColumns } from "./sync-table.ts";
import type { Statistics } from "./statistics.ts";

/**
 * Brings all tables up to date of a source that reads them together: by one `stream` pass over all of them. It goes on
 * from the states that the last one ended with; `full`, and another scope that the user agreed to, start from nothing
 * with copies that are emptied first.
 */
export async function syncTogether(
  discovered: readonly Table[],
  stored: Stored,
  statisticsByTable: ReadonlyMap<string, Statistics>,
  syncing: Syncing,
): Promise<void> {
  const { connection, flags, signal } = syncing;
  const ids = discovered.map((table) => table.id);
  const open = stored.passes.find((pass) => pass.tables.some(({ id }) => ids.includes(id))) ?? null;
  const samePass = open !== null && open.tables.map(({ id }) => id).join("\n") === ids.join("\n");
  const inPass = new Map(open?.tables.map((table) => [table.id, table]));
  const tables = discovered.map((table) => {
    const seen = [stored.tables.get(table.id)?.table, inPass.get(table.id)];
    return withSeenColumns(table, seen, connection);
  });
  const scope = tables.map(({ id }) => scopeIn(connection, id)).join(" ");
  for (const table of tables) {
    const state = stored.tables.get(table.id) ?? null;
    const before = state?.table ?? inPass.get(table.id) ?? null;
    checkScope(table, scopeIn(connection, table.id), state?.scope ?? null, flags.acceptScope);
    if (samePass) checkScope(table, scope, open.scope, flags.acceptScope);
    checkColumnsKept(before, tableSettings(connection, table.id), flags.acceptScope);
    if (state !== null) checkSchemaChange(state.table, table, settingsOf(connection, table.id).schemaChanges);
    checkKey(table, before);
  }
  const anew = flags.full || tables.some((table) => isOther(table, stored.tables.get(table.id), connection));
  const resumed = samePass && open.scope === scope && !anew ? await connection.source.resume(open, signal) : null;
  if (resumed !== null) {
    const progress = stored.progress.filter((entry) => entry.pass === resumed.id);
    return readTogether(await withTables(resumed, tables, syncing), progress, statisticsByTable, syncing);
  }
  if (open !== null) await abandon(open, tables[0]!, syncing.writer);
  return readTogether(await openPass(tables, scope, anew, stored, syncing), [], statisticsByTable, syncing);
}

function scopeIn(connection: SyncConnection, table: string): string {
  return scopeOf(connection.scope, table, tableSettings(connection, table));
}

function checkKey(table: Table, before: Table | null): void {
  if (before === null || sameKey(before, table)) return;
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${table.id}": its key is ${table.key.join(", ")}, and its copy was made with ${before.key.join(", ")}`,
    { hint: "Run reset --drop for this table and sync again, or give it the key that it had." },
  );
}

/** Whether what is stored of a table is of another table, or of another scope. */
function isOther(table: Table, state: TableState | undefined, connection: SyncConnection): boolean {
  if (state === undefined) return false;
  return state.table.identity !== table.identity || state.scope !== scopeIn(connection, table.id);
}

/** A pass that is gone on with may have got new columns, and wider ones, since it was planned. */
async function withTables(pass: Pass, tables: readonly Table[], { writer }: Syncing): Promise<Pass> {
  const changed = tables.filter((table, index) => JSON.stringify(table) !== JSON.stringify(pass.tables[index]));
  for (const table of changed)
    await writer.run(table.id, async (transaction) => transaction.write(pass, null, { kind: "schema", table }));
  return { ...pass, tables };
}

/**
 * Plans a pass and makes it durable before its first row is read. Where the source starts over, all copies are emptied
 * with it, for it does not tell what was removed meanwhile: if `anew`, and where the tables were not last read together (one
 * is new, or was reset). So is a copy that has rows but no state, after a first pass that was let go.
 */
async function openPass(
  tables: readonly Table[],
  scope: string,
  anew: boolean,
  stored: Stored,
  { connection, writer, started, signal }: Syncing,
): Promise<Pass> {
  const known = tables.filter((table) => stored.tables.has(table.id));
  const previous = anew ? [] : known.map(({ id }) => [id, stored.tables.get(id)!.next] as const);
  const states = new Set(tables.map(({ id }) => JSON.stringify(stored.tables.get(id)?.next ?? null)));
  const startsOver = anew || states.size > 1;
  const plan = await connection.source.plan(tables, "stream", Object.fromEntries(previous), signal);
  const pass: Pass = { ...plan, id: randomUUID(), kind: "stream", tables, opened: started, scope, replace: false };
  await writer.run(tables[0]!.id, async (transaction) => {
    await transaction.open(pass);
    for (const { id } of tables) {
      if (startsOver || !stored.tables.has(id)) await transaction.write(pass, null, { kind: "truncate", table: id });
    }
  });
  await writer.commit();
  return pass;
}

async function readTogether(
  pass: Pass,
  progress: readonly Progress[],
  statisticsByTable: ReadonlyMap<string, Statistics>,
  syncing: Syncing,
): Promise<void> {
  const { connection, writer, report } = syncing;
  const current = new Map(pass.tables.map((table) => [table.id, table]));
  for (const { id, estimatedRows } of pass.tables) {
    statisticsByTable.get(id)!.passes.push(pass.kind);
    const splits = pass.splits.filter((split) => split.tables.includes(id));
    const done = progress.filter((entry) => entry.done && splits.some((split) => split.id === entry.split));
    const counts = { splits: splits.length, splitsDone: done.length, estimatedRows };
    report({ kind: "pass", table: id, pass: pass.kind, resumed: progress.length > 0, ...counts });
  }
  const reading: PassReading = {
    onRows(table, rows, bytes, splitsDone) {
      const statistics = statisticsByTable.get(table)!;
      statistics.rowsRead += rows;
      statistics.bytesRead += bytes;
      report({ kind: "read", table, rows, bytes, splitsDone });
    },
    onSchema: (wider) => current.set(wider.id, unite(current.get(wider.id)!, wider)),
    // Told once, not of every table.
    onRetry: (error, milliseconds) => report({ kind: "retry", table: pass.tables[0]!.id, error, milliseconds }),
  };
  const states = await readSplits(pass, progress, reading, syncing);
  const next = [...current.values()].map((table): [string, TableState] => {
    const split = pass.splits.find((candidate) => candidate.tables.includes(table.id));
    const state = split === undefined ? null : (states.get(split.id) ?? null);
    const scope = scopeIn(connection, table.id);
    const at = pass.asOf;
    return [table.id, { table, next: state, asOf: at, readAt: at, scope, sweptAt: at, sweepMilliseconds: null }];
  });
  await writer.run(pass.tables[0]!.id, async (transaction) => {
    writer.forget(pass);
    await transaction.close(pass, new Map(next));
  });
  await writer.commit();
  for (const { id } of pass.tables) statisticsByTable.get(id)!.asOf = pass.asOf;
}
