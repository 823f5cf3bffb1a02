import type { Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import { unite } from "../../toolkit/types.ts";
import { type Connection, tableSettings } from "../connection.ts";
import { columnMapping } from "./columns.ts";
import { select, type Selected, type Selecting, vanishedFrom } from "./selection.ts";

/** What is selected of source and copy. */
export interface Discovered extends Selected {
  /** Tables of the copy, or of a first pass that is not closed yet, that the source no longer shows. */
  readonly vanished: readonly string[];
}

/** The selected tables, as they are now. `stored`: what the destination has, if it is open. */
export async function discover(
  connection: Selecting & Pick<Connection, "source">,
  signal: AbortSignal,
  stored: Pick<Stored, "tables" | "passes"> = { tables: new Map(), passes: [] },
): Promise<Discovered> {
  const known = knownTables(stored);
  const discovered = await connection.source.discover(signal, known);
  const present = discovered.map(({ id }) => id);
  const copied = known.map(({ id }) => id);
  const vanished = vanishedFrom(copied, connection, present);
  return { ...select(discovered, connection, vanished), vanished };
}

/** The tables that a destination has, including those whose first pass is not closed yet. */
export function knownTables({ tables, passes }: Pick<Stored, "tables" | "passes">): readonly Table[] {
  const known = new Map([...tables].map(([id, { table }]) => [id, table]));
  for (const table of passes.flatMap((pass) => pass.tables)) {
    const copied = known.get(table.id);
    known.set(table.id, copied === undefined ? table : unite(table, copied));
  }
  return [...known.values()];
}

/** If columns are inferred: adds those that some row once had, though the sample does not show them. */
export function withSeenColumns(
  discovered: Table,
  seen: readonly (Table | undefined)[],
  connection: Pick<Connection, "capabilities" | "tables">,
): Table {
  if (connection.capabilities.schema === "declared") return discovered;
  const names = columnMapping(tableSettings(connection, discovered.id), discovered.key);
  return seen
    .filter((known) => known?.identity === discovered.identity)
    .map((known) => ({ ...known!, columns: known!.columns.filter(({ name }) => names.isCopied(name)) }))
    .reduce((table: Table, known) => unite(known, table), discovered);
}
