import type { Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import { unite } from "../../toolkit/types.ts";
import type { Connection } from "../connection.ts";
import { select, type Selected, type Selecting } from "./selection.ts";

/** The selected tables of the source, as they stand now. `known`: what the copy has, where there is one. */
export async function discover(
  connection: Selecting & Pick<Connection, "source">,
  signal: AbortSignal,
  known: readonly Table[] = [],
): Promise<Selected> {
  return select(await connection.source.discover(signal, known), connection);
}

/** The tables that a destination has, also those of which a first pass is not closed yet. */
export function knownTables({ tables, passes }: Pick<Stored, "tables" | "passes">): readonly Table[] {
  const known = new Map([...tables].map(([id, { table }]) => [id, table]));
  for (const table of passes.flatMap((pass) => pass.tables)) {
    const copied = known.get(table.id);
    known.set(table.id, copied === undefined ? table : unite(table, copied));
  }
  return [...known.values()];
}
