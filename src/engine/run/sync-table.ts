import { HeadwatersError } from "../../protocol/errors.ts";
import type { Table } from "../../protocol/table.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import { atDestination } from "../lease.ts";
import { knownTables } from "../selection/discover.ts";
import { projectTable } from "../selection/selection.ts";
import { type StoredTable, storedTable, type SyncContext } from "./context.ts";
import { beginTable, endPass, type TableStep } from "./course.ts";
import { readPass } from "./read-pass.ts";

/** How often a table is planned again that is altered while it is read, unless it got new or wider columns. */
const replans = 3;

/**
 * Brings the copy of one table up to date. If the table is altered while it is read, it is discovered and planned again.
 * Stops at the step for which `leave` returns true, and resolves to it: another process goes on from there.
 */
export async function syncTable(
  table: Table,
  stored: StoredTable,
  context: SyncContext,
  leave: (step: TableStep) => boolean = () => false,
): Promise<TableStep> {
  const { connection, writer, signal, report } = context;
  let current = table;
  let known = stored;
  let widest = table;
  for (let attempt = 1; ; attempt++) {
    try {
      return await goOn(await beginTable(current, known, context), context, leave);
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

/** Reads and ends one pass after the other, until the copy is up to date or `leave` says so. */
export async function goOn(
  first: TableStep,
  context: SyncContext,
  leave: (step: TableStep) => boolean,
): Promise<TableStep> {
  let step = first;
  while (step.open !== null && !leave(step)) {
    const { pass, progress } = step.open;
    const began = performance.now();
    const { tables } = await readPass(pass, [step.table], progress, context);
    step = await endPass(step, tables.get(step.table.id)!, began, context);
  }
  return step;
}
