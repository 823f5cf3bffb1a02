import type { Pass, Progress } from "../../protocol/pass.ts";
import type { Table } from "../../protocol/table.ts";
import { unite } from "../../toolkit/types.ts";
import { checkColumnCount } from "../selection/columns.ts";
import type { SyncContext } from "./context.ts";
import type { Reached } from "./read-split.ts";
import { readSplits } from "./read-splits.ts";

/** The result of reading a pass. */
export interface PassRead {
  /** Its tables by id, with all columns and types that their rows needed. */
  readonly tables: ReadonlyMap<string, Table>;
  /** By split id. */
  readonly reached: ReadonlyMap<string, Reached>;
}

/** Reads what is left of a pass, and reports progress. `tables` are its tables as they are now. */
export async function readPass(
  pass: Pass,
  tables: readonly Table[],
  progress: readonly Progress[],
  context: SyncContext,
): Promise<PassRead> {
  const { statistics, report } = context;
  const current = new Map(tables.map((table) => [table.id, table]));
  const done = new Set(progress.flatMap((entry) => (entry.done ? [entry.split] : [])));
  for (const { id, estimatedRows } of tables) {
    statistics.get(id)!.passes.push(pass.kind);
    const splits = pass.splits.filter((split) => split.tables.includes(id));
    report({
      kind: "pass",
      table: id,
      pass: pass.kind,
      resumed: progress.length > 0,
      splits: splits.length,
      splitsDone: splits.filter((split) => done.has(split.id)).length,
      estimatedRows: pass.kind === "window" ? null : estimatedRows,
    });
  }
  const reached = await readSplits(pass, progress, context, {
    onRows(table, rows, bytes, splitsDone) {
      statistics.get(table)!.addRead(rows, bytes);
      report({ kind: "read", table, rows, bytes, splitsDone });
    },
    onSchema(wider) {
      const united = unite(current.get(wider.id)!, wider);
      checkColumnCount(united);
      current.set(wider.id, united);
    },
    // Once, not for every table of the pass.
    onRetry: (error, milliseconds) => report({ kind: "retry", table: tables[0]!.id, error, milliseconds }),
  });
  return { tables: current, reached };
}
