import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationCapabilities, DestinationContext, Warehouse } from "../../protocol/destination.ts";
import type { Holder, Team } from "../../protocol/state-store.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { lastStamp, load } from "./bookkeeping.ts";
import { compareCopy } from "./compare.ts";
import { Copies, countLive } from "./copies.ts";
import type { Session } from "./dialect.ts";
import { KeptRows } from "./ledger.ts";
import { loadRuns, loadSchemaChanges, saveRun, saveTableRun } from "./runs.ts";
import type { Shared } from "./shared.ts";
import { SqlTransaction } from "./transaction.ts";
import type { Copy } from "./model.ts";

/** What differs between warehouses in a DuckDB file, in DuckLake and in PostgreSQL. */
export interface Ground {
  readonly capabilities: DestinationCapabilities;
  /** The session that writes. The bookkeeping exists. A session that broke in the last transaction is replaced. */
  session(): Promise<Session>;
  /** Another session, outside of the writer's transactions, which ends with the destination. */
  reader(): Promise<Session>;
  /** As in `StateStore`. */
  acquire(holder: Holder): Promise<number>;
  release(lease: number): Promise<void>;
  /** As in `StateStore`. The session's dialect has what its members need. */
  readonly team?: Omit<Team, "recordTable">;
  /** As in `Readable`. */
  holder(): Promise<Holder | null>;
  check(signal: AbortSignal): AsyncIterable<CheckResult>;
  readonly exportParquet?: NonNullable<Warehouse["exportParquet"]>;
  /** As in `Destination`: sessions end, and are opened anew by who asks for one. */
  rest?(): Promise<void>;
  /** Closes the session and the destination. Called once, after the lease is released. */
  close(): Promise<void>;
}

export function warehouseOn(ground: Ground, context: DestinationContext): Warehouse {
  const { capabilities, check, exportParquet, rest, team } = ground;
  let transaction: SqlTransaction | null = null;
  let lease: number | null = null;
  /** The lease of the team that this process is a member of. */
  let membership: number | null = null;
  /** What the next transaction takes over from the last one. */
  let shared: Shared | null = null;
  let closed = false;

  const release = async (given: number): Promise<void> => {
    await ground.release(given);
    if (lease === given) lease = null;
  };

  /** The copy of a table that a session sees. */
  const copyIn = async (session: Session, table: string): Promise<Copy | null> =>
    new Copies(session, context, await KeptRows.load(session, "copies", context.connection)).find(table);

  /** Works in a transaction of its own, beside the writer's. */
  const aside = async (work: (session: Session) => Promise<void>): Promise<void> => {
    const session = await ground.reader();
    await session.run(session.dialect.begin);
    try {
      await work(session);
      await session.run("COMMIT");
    } catch (thrown) {
      await session.rollback();
      throw thrown;
    }
  };

  let seen: { readonly stamp: string | null; readonly copies: Copies; readonly seals: KeptRows } | null = null;

  /** All copies and their seals, read at once; again only after a sync has written. */
  const seenBy = async (session: Session): Promise<NonNullable<typeof seen>> => {
    const stamp = await lastStamp(session, context.connection);
    if (seen === null || seen.stamp !== stamp) {
      const rows = await KeptRows.load(session, "copies", context.connection);
      const seals = await KeptRows.load(session, "seals", context.connection);
      seen = { stamp, copies: await Copies.of(session, context, rows), seals };
    }
    return seen;
  };

  return {
    capabilities,
    check,
    ...(exportParquet === undefined ? {} : { exportParquet }),
    ...(rest === undefined
      ? {}
      : {
          async rest() {
            shared = null;
            seen = null;
            await rest();
          },
        }),
    async acquire(holder) {
      shared = null;
      lease = await ground.acquire(holder);
      return lease;
    },
    release,
    ...(team === undefined
      ? {}
      : {
          team: {
            ...team,
            async join(given, work) {
              const now = await team.join(given, work);
              shared = null;
              membership = given;
              return now;
            },
            recordTable: (run, table) => aside((session) => saveTableRun(session, context.connection, run, table)),
          },
        }),
    holder: () => ground.holder(),
    load: async () => load(await ground.session(), context.connection),
    async begin(given, stamp) {
      if (transaction !== null) throw new HeadwatersError("DEFECT", "a transaction of this warehouse is under way");
      const session = await ground.session();
      const by = { lease: given, stamp, member: given === membership };
      transaction = await SqlTransaction.begin(session, context, shared, by, (kept) => {
        transaction = null;
        shared = kept;
      });
      return transaction;
    },
    async compare(table) {
      const session = await ground.reader();
      const { copies, seals } = await seenBy(session);
      const copy = await copies.find(table.id);
      if (copy === null) {
        throw new HeadwatersError("DESTINATION_EMPTY", `the destination has no copy of table "${table.id}"`, {
          hint: "Run sync first.",
        });
      }
      const written = (seals.get(table.id)?.["written"] ?? null) as string | null;
      return compareCopy(session, context.connection, table, copy, written);
    },
    runs: async (limit, which) => loadRuns(await ground.session(), context.connection, limit, which),
    schemaChanges: async (limit) => loadSchemaChanges(await ground.session(), context.connection, limit),
    keep: (run) => aside((session) => saveRun(session, context.connection, run)),
    async count(table) {
      const session = await ground.session();
      const copy = transaction === null ? await copyIn(session, table) : await transaction.copy(table);
      return copy === null ? null : countLive(session, copy);
    },
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
