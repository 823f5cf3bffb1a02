import type { Pass } from "../../protocol/pass.ts";
import type { RunRecord } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import type { Connection } from "../connection.ts";
import { atDestination } from "../lease.ts";

/** The state of the copy of one table. */
export interface TableStatus {
  readonly table: string;
  /** Rows that are not deleted; `null`: there is no copy. */
  readonly rows: number | null;
  /** The read point of the copy; `null`: it was never whole. */
  readonly asOf: string | null;
  readonly sweptAt: string | null;
  /** The pass that the next sync continues. */
  readonly open: { readonly kind: Pass["kind"]; readonly splits: number; readonly splitsDone: number } | null;
}

export interface Status {
  readonly tables: readonly TableStatus[];
  /** Newest first. */
  readonly runs: readonly RunRecord[];
}

/** What the destination holds of a connection. Does not use the source. */
export async function status(connection: Pick<Connection, "warehouse">, runs: number): Promise<Status> {
  const { warehouse } = connection;
  const tables = await copiesOf(warehouse, () => true);
  const records = await atDestination(warehouse.runs(runs, { kind: "sync" }));
  const holder = await atDestination(warehouse.holder());
  // There is one writer, so that only the newest run can still go on.
  const isOver = (index: number): boolean => index > 0 || holder === null;
  return {
    tables: tables.map(({ table, rows, asOf, sweptAt, open }) => ({ table, rows, asOf, sweptAt, open })),
    runs: records.map((run, index) => (run.outcome === "running" && isOver(index) ? { ...run, outcome: "died" } : run)),
  };
}

/** The copies of a connection, by name. `counts`: whether the rows of a table are counted, which may take long. */
export async function copiesOf(
  warehouse: Connection["warehouse"],
  counts: (table: string) => boolean,
): Promise<readonly (TableStatus & { readonly state: TableState | null })[]> {
  const stored = await atDestination(warehouse.load());
  const names = new Set([
    ...stored.tables.keys(),
    ...stored.passes.flatMap((pass) => pass.tables.map((table) => table.id)),
  ]);
  const copies: (TableStatus & { readonly state: TableState | null })[] = [];
  for (const table of [...names].sort()) {
    const state = stored.tables.get(table) ?? null;
    const open = stored.passes.find((pass) => pass.tables.some((candidate) => candidate.id === table));
    copies.push({
      table,
      rows: counts(table) ? await atDestination(warehouse.count(table)) : null,
      asOf: state?.asOf ?? null,
      sweptAt: state?.sweptAt ?? null,
      open:
        open === undefined
          ? null
          : {
              kind: open.kind,
              splits: open.splits.length,
              splitsDone: stored.progress.filter((entry) => entry.pass === open.id && entry.done).length,
            },
      state,
    });
  }
  return copies;
}
