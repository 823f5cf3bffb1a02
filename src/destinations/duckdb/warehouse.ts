import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { DestinationContext, Holder, Warehouse } from "../../protocol/sink.ts";
import type { CheckResult } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { load, loadRuns } from "./bookkeeping.ts";
import { compareCopy } from "./compare.ts";
import { type Copy, describeCopy } from "./copies.ts";
import { exportParquet } from "./export-parquet.ts";
import { fetchPages } from "./fetch.ts";
import { quotedSystem } from "./merge.ts";
import { type PassTable, PassTables } from "./pass-tables.ts";
import type { Session } from "./session.ts";
import { goneKeys, missingKeys, settlementOf } from "./settle.ts";
import { staged } from "./stage.ts";
import { DuckdbTransaction } from "./transaction.ts";

/** What a warehouse stands on: a DuckDB file, or a lake. The rest of it is the same. */
export interface Ground {
  /** The warehouse's own, with the bookkeeping made. */
  readonly session: Session;
  /** See `Sink.acquire`. */
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

  /** What a pass has on one table, with all that was written so far in sight of queries. */
  const inSight = async (pass: Pass, id: string): Promise<PassTable & { readonly copy: Copy }> => {
    await transaction?.flush(id);
    const entry = await new PassTables(session, context).find(pass.id, id);
    const copy = await describeCopy(session, context, id);
    if (entry === null || copy === null)
      throw new HeadwatersError("DEFECT", `pass ${pass.id} is not open, or does not have a table "${id}"`);
    return { ...entry, copy };
  };

  async function* keysOf(
    pass: Pass,
    { id }: Table,
    query: (entry: PassTable & { readonly copy: Copy }) => string,
  ): AsyncGenerator<Rows> {
    const entry = await inSight(pass, id);
    if (entry.stage === null) return;
    const { table, copy } = entry;
    const columns = table.key.map((name) => {
      const { type } = table.columns.find((column) => column.name === name)!;
      return { name, sql: staged(name), type, stored: copy.columns.get(name)! };
    });
    yield* fetchPages(session, query(entry), columns);
  }

  return {
    async acquire(holder) {
      lease = await ground.acquire(holder);
      return lease;
    },
    release,
    load: () => load(session, context.connection),
    async begin(given, syncStart) {
      if (transaction !== null) throw new HeadwatersError("DEFECT", "a transaction of this warehouse is under way");
      transaction = await DuckdbTransaction.begin(session, context, given, syncStart, () => (transaction = null));
      return transaction;
    },
    check: (signal) => ground.check(signal),
    async settlement(pass, table) {
      const entry = await inSight(pass, table.id);
      return settlementOf(session, entry.mode, pass, entry.table, entry.copy, entry.stage);
    },
    missing: (pass, table) =>
      keysOf(pass, table, ({ mode, table, copy, stage }) =>
        mode === "keys" ? missingKeys(table, copy, stage!) : `${goneKeys(pass, table, copy, stage!)} LIMIT 0`,
      ),
    gone: (pass, table) => keysOf(pass, table, ({ table, copy, stage }) => goneKeys(pass, table, copy, stage!)),
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
