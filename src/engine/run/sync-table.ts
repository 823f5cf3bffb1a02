import { randomUUID } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, PassKind, Progress } from "../../protocol/pass.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { unite } from "../../toolkit/types.ts";
import type { Semaphore } from "../../toolkit/semaphore.ts";
import { columnNames } from "../selection/columns.ts";
import { settingsOf, type SyncConnection, tableSettings } from "../connection.ts";
import { decide, type Decision, type Flags } from "../plan/decide.ts";
import type { SyncEvent } from "../events.ts";
import { type PassReading, readSplits } from "./read-splits.ts";
import { checkColumnsKept, scopeOf } from "../selection/scope.ts";
import { settle } from "./settle.ts";
import type { Statistics } from "./statistics.ts";
import type { Writer } from "./writer.ts";

/** What the tables of one sync share. */
export interface Syncing {
  readonly connection: SyncConnection;
  readonly flags: Flags & { readonly acceptDeletes: boolean };
  readonly writer: Writer;
  /** The start of the sync: ISO 8601, UTC. */
  readonly started: string;
  readonly signal: AbortSignal;
  /** Bytes that all splits together may hold. */
  readonly memory: Semaphore;
  /** Splits that may be read at the same time. */
  readonly readers: Semaphore;
  readonly throttle: (rows: number, signal: AbortSignal) => Promise<void>;
  report(event: SyncEvent): void;
}

/** What the destination held of one table when the sync began. */
export interface StoredTable {
  readonly state: TableState | null;
  readonly open: Pass | null;
  readonly progress: readonly Progress[];
}

/** Brings the copy of one table up to date. */
export async function syncTable(
  discovered: Table,
  stored: StoredTable,
  statistics: Statistics,
  syncing: Syncing,
): Promise<void> {
  const { connection, flags, writer, started, signal } = syncing;
  let table = withSeenColumns(discovered, [stored.state?.table, stored.open?.tables[0]], connection);
  const chosen = tableSettings(connection, table.id);
  const scope = scopeOf(connection.scope, table.id, chosen);
  const settings = settingsOf(connection, table.id);
  const abilities = { ...connection.capabilities, fullPass: connection.warehouse.fullPass?.(table.id) ?? null };
  const decideWith = (open: Pass | null): Decision =>
    decide(table, scope, stored.state, open, flags, settings, abilities, new Date(started));
  let { state } = stored;
  let decision = decideWith(stored.open);
  checkColumnsKept(state?.table ?? stored.open?.tables[0] ?? null, chosen, flags.acceptScope);
  if (decision.abandon !== null) await abandon(decision.abandon, table, writer);
  if (decision.resume !== null) {
    const pass = await connection.source.resume(decision.resume, signal);
    if (pass === null) {
      await abandon(decision.resume, table, writer);
      decision = decideWith(null);
    } else {
      state = await readPass(pass, table, state, stored.progress, statistics, syncing);
      table = state.table;
    }
  }
  const passes = [...decision.passes];
  for (let index = 0; index < passes.length || state?.reread === true; index++) {
    const kind = passes[index] ?? "full";
    const pass = await openPass(table, kind, state, { scope, replace: decision.replace && index === 0 }, syncing);
    state = await readPass(pass, table, state, [], statistics, syncing);
    table = state.table;
  }
}

/**
 * Whether a column of fractions turned to text. What the copy had of it before, the destination turned to text in its own
 * way (`1.0` where the source says `1`): only reading all rows once more makes it the source's.
 */
function fractionsBecameText(before: Table, now: Table): boolean {
  return now.columns.some(({ name, type }) => {
    const known = before.columns.find((column) => column.name === name)?.type.kind;
    return type.kind === "STRING" && (known === "FLOAT" || known === "DOUBLE");
  });
}

/** Where columns are inferred: those that were seen in a row once stay, though a sample does not show them. */
export function withSeenColumns(
  discovered: Table,
  seen: readonly (Table | undefined)[],
  connection: SyncConnection,
): Table {
  if (connection.capabilities.schema === "declared") return discovered;
  const names = columnNames(tableSettings(connection, discovered.id));
  return seen
    .filter((known) => known?.identity === discovered.identity)
    .map((known) => ({ ...known!, columns: known!.columns.filter(({ name }) => names.isCopied(name)) }))
    .reduce((table: Table, known) => unite(known, table), discovered);
}

export async function abandon(pass: Pass, table: Table, writer: Writer): Promise<void> {
  await writer.run(table.id, async (transaction) => {
    writer.forget(pass);
    await transaction.abandon(pass);
  });
}

/** Plans a pass and makes it durable before its first row is read. */
async function openPass(
  table: Table,
  kind: PassKind,
  state: TableState | null,
  how: Pick<Pass, "scope" | "replace">,
  { connection, writer, started, signal }: Syncing,
): Promise<Pass> {
  const previous = state === null ? {} : { [table.id]: state.next };
  const plan = await connection.source.plan([table], kind, previous, signal);
  const pass: Pass = { ...plan, ...how, id: randomUUID(), kind, tables: [table], opened: started };
  await writer.run(table.id, async (transaction) => transaction.open(pass));
  await writer.commit();
  return pass;
}

async function readPass(
  pass: Pass,
  table: Table,
  state: TableState | null,
  progress: readonly Progress[],
  statistics: Statistics,
  syncing: Syncing,
): Promise<TableState> {
  const { connection, writer, report, signal } = syncing;
  const began = performance.now();
  let current = table;
  const resumed = progress.length > 0;
  statistics.passes.push(pass.kind);
  report({
    kind: "pass",
    table: table.id,
    pass: pass.kind,
    resumed,
    splits: pass.splits.length,
    splitsDone: progress.filter((entry) => entry.done).length,
    estimatedRows: pass.kind === "window" ? null : table.estimatedRows,
  });
  const reading: PassReading = {
    onRows(name, rows, bytes, splitsDone) {
      statistics.rowsRead += rows;
      statistics.bytesRead += bytes;
      report({ kind: "read", table: name, rows, bytes, splitsDone });
    },
    onSchema: (wider) => (current = unite(current, wider)),
    onRetry: (error, milliseconds) => report({ kind: "retry", table: table.id, error, milliseconds }),
  };
  await readSplits(pass, progress, reading, syncing);

  report({ kind: "settling", table: table.id });
  const how: Reading = { signal, batchBytes: connection.settings.batchBytes, until: "caught up", path: "fast" };
  if (!(await settle(pass, current, statistics, how, syncing))) {
    await abandon(pass, table, writer);
    return { ...known(state, pass), reread: true };
  }
  const next = nextState(pass, current, state, resumed ? null : Math.round(performance.now() - began));
  await writer.run(table.id, async (transaction) => {
    writer.forget(pass);
    await transaction.close(pass, new Map([[table.id, next]]));
  });
  await writer.commit();
  statistics.asOf = next.asOf;
  return next;
}

/** What is kept of a table once `pass` is closed on it. */
function nextState(pass: Pass, table: Table, before: TableState | null, milliseconds: number | null): TableState {
  const next = pass.next[table.id] ?? null;
  const written = pass.kind === "full" ? pass.tables[0]! : (before?.table ?? table);
  const reread = fractionsBecameText(written, table) ? { reread: true as const } : {};
  switch (pass.kind) {
    case "full":
      return {
        ...{ table, next, asOf: pass.asOf, readAt: pass.asOf, scope: pass.scope },
        ...{ sweptAt: pass.asOf, sweepMilliseconds: milliseconds },
        ...reread,
      };
    case "keys":
      // Without a version a sweep says nothing of rows that changed; nor may it move the cursor.
      return {
        ...known(before, pass),
        table,
        asOf: table.version === null ? known(before, pass).asOf : pass.asOf,
        sweptAt: pass.asOf,
        sweepMilliseconds: milliseconds,
        ...reread,
      };
    case "window":
    case "stream":
      return { ...known(before, pass), table, next, asOf: pass.asOf, ...reread };
  }
}

function known(state: TableState | null, pass: Pass): TableState {
  if (state === null)
    throw new HeadwatersError("DEFECT", `a ${pass.kind} pass was planned for a table without a full copy`);
  return state;
}
