import { randomUUID } from "node:crypto";
import type { Pass, PassKind } from "../../protocol/pass.ts";
import type { Source } from "../../protocol/source.ts";
import type { Table, TableState } from "../../protocol/table.ts";

/** Lets the source plan a pass. `states`: the tables that the pass goes on from where the last one ended. */
export async function planPass(
  source: Source,
  tables: readonly Table[],
  kind: PassKind,
  states: ReadonlyMap<string, TableState>,
  how: Pick<Pass, "scope" | "replace" | "opened">,
  signal: AbortSignal,
): Promise<Pass> {
  const previous = Object.fromEntries([...states].map(([id, { next }]) => [id, next]));
  const plan = await source.plan(tables, kind, previous, signal);
  return { ...plan, ...how, id: randomUUID(), kind, tables };
}
