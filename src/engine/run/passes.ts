import type { Pass } from "../../protocol/pass.ts";
import type { Deletes } from "../../protocol/transaction.ts";
import type { TableState } from "../../protocol/table.ts";
import type { PlannedPass } from "../plan/plan-pass.ts";
import type { SyncContext } from "./context.ts";
import type { Writer } from "./writer.ts";

/** Stores a planned pass before its first row is written. `emptied`: tables whose copies are emptied in the same commit. */
export async function openPass(planned: PlannedPass, emptied: readonly string[], writer: Writer): Promise<Pass> {
  const pass = await writer.run(planned.tables[0]!.id, async (transaction, stamp): Promise<Pass> => {
    const opened = { ...planned, opened: stamp };
    await transaction.open(opened);
    for (const table of emptied) await transaction.write(opened, null, { kind: "truncate", table });
    return opened;
  });
  return pass;
}

/** Gives a pass up: the table is planned again. */
export async function abandonPass(pass: Pass, table: string, writer: Writer): Promise<void> {
  await writer.run(table, async (transaction) => {
    writer.forget(pass);
    await transaction.abandon(pass);
  });
}

/**
 * Ends a pass whose rows are all written: the destination settles it and stores the states that follow from it. A later
 * commit makes it durable.
 */
export async function closePass(
  pass: Pass,
  states: ReadonlyMap<string, TableState>,
  { writer, statistics }: SyncContext,
  deletes: Deletes = "find",
): Promise<void> {
  await writer.close(pass, (transaction) => transaction.close(pass, states, deletes));
  for (const [table, { asOf }] of states) statistics.get(table)!.asOf = asOf;
}
