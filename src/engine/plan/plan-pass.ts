import { randomUUID } from "node:crypto";
import type { Pass, PassKind } from "../../protocol/pass.ts";
import type { Source } from "../../protocol/source.ts";
import type { Table, TableState } from "../../protocol/table.ts";

/** A pass before it is opened. */
export type PlannedPass = Omit<Pass, "opened">;

/** Asks the source to plan a pass. `states`: of the tables that continue from the end of their last pass. */
export async function planPass(
  source: Source,
  tables: readonly Table[],
  kind: PassKind,
  states: ReadonlyMap<string, TableState>,
  how: Pick<Pass, "scope" | "replace">,
  signal: AbortSignal,
): Promise<PlannedPass> {
  const previous = Object.fromEntries([...states].map(([id, { next }]) => [id, next]));
  const plan = await source.plan(tables, kind, previous, signal);
  return { ...plan, ...how, id: randomUUID(), kind, tables };
}
