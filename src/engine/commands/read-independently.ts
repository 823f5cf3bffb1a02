import { setMaxListeners } from "node:events";
import type { Json } from "../../protocol/json.ts";
import type { Pass, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { Semaphore } from "../../toolkit/semaphore.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import type { Connection } from "../connection.ts";
import { planPass } from "../plan/plan-pass.ts";
import { waitAfter } from "../../net/retry.ts";
import { retryPolicy } from "../run/retrying-source.ts";
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
  const planned = await planPass(source, [table], "full", new Map(), how, signal);
  const pass: Pass = { ...planned, opened: new Date().toISOString() };
  const stop = new AbortController();
  const reading: Reading = {
    signal: AbortSignal.any([signal, stop.signal]),
    batchBytes: settings.batchBytes,
    until: "caught up",
    path: "independent",
  };
  // Every split listens to it, in several places.
  setMaxListeners(0, reading.signal);
  const turn = new Semaphore(1);
  const policy = retryPolicy(connection);
  let current = table;

  async function takeInTurn(held: readonly Rows[]): Promise<void> {
    if (current !== table || held.length === 0) return;
    const release = await turn.acquire(1, reading.signal);
    try {
      for (const rows of held) await take(rows);
    } finally {
      release();
    }
  }

  /** Rows are taken once their checkpoint has come: after a failure the reading goes on from there. */
  async function readSplit(of: Pass, split: Split): Promise<void> {
    let state: Json = null;
    for (let attempt = 1; ; attempt++) {
      let held: Rows[] = [];
      try {
        for await (const operation of source.read(of, split, state, reading)) {
          if (operation.kind === "schema" && !hasColumnsOf(current, unite(current, operation.table)))
            current = unite(current, operation.table);
          if (operation.kind === "upsert" && current === table) held.push(operation.rows);
          if (operation.kind !== "checkpoint") continue;
          await takeInTurn(held);
          held = [];
          state = operation.state;
        }
        return await takeInTurn(held);
      } catch (thrown) {
        await waitAfter(thrown, attempt, table.id, reading.signal, policy);
      }
    }
  }

  const left = pass.splits.values();
  const readNext = async (): Promise<void> => {
    for (const split of left) await readSplit(pass, split);
  };
  const failures: unknown[] = [];
  const readOrStop = (): Promise<void> =>
    readNext().catch((thrown: unknown) => {
      failures.push(thrown);
      stop.abort();
    });
  await Promise.all(Array.from({ length: settings.parallel }, readOrStop));
  await source.release?.([table.id]);
  if (failures.length > 0) throw failures[0];
  return current === table ? null : current;
}
