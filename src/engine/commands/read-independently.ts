import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import { Semaphore } from "../../toolkit/semaphore.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import type { Connection } from "../connection.ts";
import { planPass } from "../plan/plan-pass.ts";
import { readAside } from "../run/read-aside.ts";
import { scopeOf } from "../selection/scope.ts";

/**
 * Reads every row once by the independent path, splits in parallel. A table without splits has no rows. `take` is called
 * for one batch after the other. If rows need new or wider columns, `take` is called no more, the rest is read to find all
 * such columns, and the promise resolves to the table with them. Otherwise it resolves to `null`.
 */
export async function readIndependently(
  table: Table,
  connection: Connection,
  signal: AbortSignal,
  take: (rows: Rows) => Promise<void>,
): Promise<Table | null> {
  const { source, settings } = connection;
  const how = { scope: scopeOf(null, table.id), replace: false };
  // Nothing goes on from this pass: it needs no place in the stream.
  const { streamed: _, ...unstreamed } = table;
  const planned = await planPass(source, [unstreamed], "full", new Map(), how, signal);
  const pass: Pass = { ...planned, opened: new Date().toISOString() };
  const reading = { signal, batchBytes: settings.batchBytes, until: "caught up", path: "independent" } as const;
  const turn = new Semaphore(1);
  let current = table;

  async function takeInTurn(held: readonly Rows[], signal: AbortSignal): Promise<void> {
    if (current !== table || held.length === 0) return;
    const release = await turn.acquire(1, signal);
    try {
      for (const rows of held) await take(rows);
    } finally {
      release();
    }
  }

  await readAside(pass, connection, reading, new Semaphore(settings.parallel), () => {
    // Rows are taken once their checkpoint has come: after a failure the reading goes on from there.
    let held: Rows[] = [];
    return async (operation, signal) => {
      if (operation?.kind === "schema" && !hasColumnsOf(current, unite(current, operation.table)))
        current = unite(current, operation.table);
      if (operation?.kind === "upsert" && current === table) held.push(operation.rows);
      if (operation !== null && operation.kind !== "checkpoint") return;
      await takeInTurn(held, signal);
      held = [];
    };
  }).finally(() => source.release?.([table.id]));
  return current === table ? null : current;
}
