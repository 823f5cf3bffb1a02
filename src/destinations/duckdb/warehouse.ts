import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationCapabilities, DestinationContext, Warehouse } from "../../protocol/destination.ts";
import type { Holder } from "../../protocol/state-store.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { load, loadRuns } from "./bookkeeping.ts";
import { compareCopy } from "./compare.ts";
import { describeCopy } from "./copies.ts";
import { exportParquet } from "./export-parquet.ts";
import { quotedSystem } from "./merge.ts";
import type { Session } from "./session.ts";
import { DuckdbTransaction } from "./transaction.ts";

/** What a warehouse stands on: a DuckDB file, or a lake. The rest of it is the same. */
export interface Ground {
  /** The warehouse's own, with the bookkeeping made. */
  readonly session: Session;
  readonly capabilities: DestinationCapabilities;
  /** As in `StateStore`. */
  acquire(holder: Holder): Promise<number>;
  release(lease: number): Promise<void>;
  check(signal: AbortSignal): AsyncIterable<CheckResult>;
  /** Called once, when no lease is held any more; closes the session too. */
  close(): Promise<void>;
}

export function warehouseOn(ground: Ground, context: DestinationContext): Warehouse {
  const { session } = ground;
  let transaction: DuckdbTransaction | null = null;
  let lease: number | null = null;
  let closed = false;

  const release = async (given: number): Promise<void> => {
    await ground.release(given);
    if (lease === given) lease = null;
  };

  return {
    capabilities: ground.capabilities,
    async acquire(holder) {
      lease = await ground.acquire(holder);
      return lease;
    },
    release,
    load: () => load(session, context.connection),
    async begin(given, stamp) {
      if (transaction !== null) throw new HeadwatersError("DEFECT", "a transaction of this warehouse is under way");
      transaction = await DuckdbTransaction.begin(session, context, given, stamp, () => (transaction = null));
      return transaction;
    },
    check: (signal) => ground.check(signal),
    async compare(table) {
      await transaction?.flush(table.id);
      const copy = await describeCopy(session, context, table.id);
      if (copy === null) {
        throw new HeadwatersError("DESTINATION_EMPTY", `the destination has no copy of table "${table.id}"`, {
          hint: "Run sync first.",
        });
      }
      return compareCopy(session, table, copy);
    },
    runs: (limit) => loadRuns(session, context.connection, limit),
    async count(table) {
      await transaction?.flush(table);
      const copy = await describeCopy(session, context, table);
      if (copy === null) return null;
      return session.number(`SELECT count(*) FROM ${copy.relation} WHERE NOT ${quotedSystem(copy).deleted}`);
    },
    exportParquet: (files, how) => exportParquet(session, context, files, how),
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      try {
        await transaction?.[Symbol.asyncDispose]();
        if (lease !== null) await release(lease);
      } finally {
        await ground.close();
      }
    },
  };
}
