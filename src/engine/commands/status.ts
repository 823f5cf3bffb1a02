import type { Json } from "../../protocol/json.ts";
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
  /** Where its stream goes on, as the source writes it; `null`: no stream shows its changes. */
  readonly position: string | null;
  /** The age of a copy that a stream keeps up to date, in milliseconds. */
  readonly lag: number | null;
  /** The pass that the next sync continues. */
  readonly open: { readonly kind: Pass["kind"]; readonly splits: number; readonly splitsDone: number } | null;
}

interface Copy extends Omit<TableStatus, "position" | "lag"> {
  readonly state: TableState | null;
}

export interface Status {
  readonly tables: readonly TableStatus[];
  /** Newest first. */
  readonly runs: readonly RunRecord[];
}

/** What the destination holds of a connection. Does not use the source. `position`: as `SourceDefinition.position`. */
export async function status(
  { warehouse, position }: Pick<Connection, "warehouse"> & { position(next: Json): string | null },
  runs: number,
): Promise<Status> {
  const copies = await copiesOf(warehouse, () => true);
  const kinds = ["sync", "follow"] as const;
  const found = await Promise.all(kinds.map((kind) => atDestination(warehouse.runs(runs, { kind }))));
  const records = found
    .flat()
    .sort((a, b) => (a.started < b.started ? 1 : -1))
    .slice(0, runs);
  const holder = await atDestination(warehouse.holder());
  // There is one writer, so that only the newest run can still go on.
  const isOver = (index: number): boolean => index > 0 || holder === null;
  return {
    tables: copies.map(({ state, ...copy }) => {
      const at = state === null ? null : position(state.next);
      return { ...copy, position: at, lag: at === null ? null : Math.max(0, Date.now() - Date.parse(state!.asOf)) };
    }),
    runs: records.map((run, index) => (run.outcome === "running" && isOver(index) ? { ...run, outcome: "died" } : run)),
  };
}

/** The copies of a connection, by name. `counts`: whether the rows of a table are counted, which may take long. */
export async function copiesOf(
  warehouse: Connection["warehouse"],
  counts: (table: string) => boolean,
): Promise<readonly Copy[]> {
  const stored = await atDestination(warehouse.load());
  const names = new Set([
    ...stored.tables.keys(),
    ...stored.passes.flatMap((pass) => pass.tables.map((table) => table.id)),
  ]);
  const copies: Copy[] = [];
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
