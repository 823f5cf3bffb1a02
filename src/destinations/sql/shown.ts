import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { commentStatements } from "./comments.ts";
import type { Session } from "./dialect.ts";
import { addSchemaChanges } from "./runs.ts";
import { schemaChanges } from "./schema-changes.ts";
import type { Shared } from "./shared.ts";

/**
 * What a pass that ends shows of its tables besides their rows: changes of the schemas go into the history, comments onto the
 * copies. Call before the states are stored, since what they have is compared with the states from before.
 */
export async function showTables(
  session: Session,
  { connection }: DestinationContext,
  { ledger, copies }: Shared,
  states: ReadonlyMap<string, TableState>,
  stamp: string,
): Promise<void> {
  const changes = [];
  for (const [id, { table }] of states) {
    const before = tableBefore(ledger, id);
    if (before !== null)
      changes.push(...schemaChanges(before, table).map((change) => ({ at: stamp, table: id, change })));
    const copy = await copies.find(id);
    if (copy === null) continue;
    const commented = copies.isNew(id) ? null : before;
    for (const sql of commentStatements(session.dialect, copy, commented, table)) await session.run(sql);
  }
  await addSchemaChanges(session, connection, changes);
}

/** The table as it was at the end of its last pass; `null`: there was none. */
function tableBefore({ tables }: Shared["ledger"], id: string): Table | null {
  const known = tables.get(id);
  return known === null ? null : (JSON.parse(known["state"] as string) as TableState).table;
}
