import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { DestinationContext, Warehouse } from "../../protocol/sink.ts";
import type { CheckResult } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { acquireLease, hasBookkeeping, kept, load, loadRuns, makeBookkeeping, releaseLease } from "./bookkeeping.ts";
import { compareCopy } from "./compare.ts";
import type { Configuration } from "./config.ts";
import { type Copy, describeCopy } from "./copies.ts";
import { fetchPages } from "./fetch.ts";
import { type Instance, openInstance } from "./instance.ts";
import { quotedSystem } from "./merge.ts";
import { bookkeepingSchema, fold } from "./names.ts";
import { type PassTable, PassTables } from "./pass-tables.ts";
import type { Session } from "./session.ts";
import { goneKeys, missingKeys, settlementOf } from "./settle.ts";
import { staged } from "./stage.ts";
import { DuckdbTransaction } from "./transaction.ts";

export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  if (fold(context.schema) === bookkeepingSchema) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `schema: "${context.schema}" is where Headwaters keeps its own`,
      {
        hint: "Choose another schema.",
      },
    );
  }
  const instance = await openInstance(configuration, how.create);
  try {
    const control = await instance.control();
    if (how.create) await makeBookkeeping(control, context.schema);
    else await mustHold(control, context.connection, instance.path);
    return warehouseOf(instance, await instance.connect(), context);
  } catch (thrown) {
    await leave(instance, context);
    throw thrown;
  }
}

async function mustHold(session: Session, connection: string, path: string): Promise<void> {
  const held =
    (await hasBookkeeping(session)) &&
    (await session.number(`SELECT count(*) FROM ${kept(session, "leases")} WHERE connection = ?`, [connection])) > 0;
  if (held) return;
  throw new HeadwatersError("DESTINATION_EMPTY", `${path} holds nothing of connection "${connection}" yet`, {
    hint: "Run sync first.",
  });
}

function warehouseOf(instance: Instance, session: Session, context: DestinationContext): Warehouse {
  let transaction: DuckdbTransaction | null = null;
  let lease: number | null = null;
  let closed = false;

  const release = async (given: number): Promise<void> => {
    await releaseLease(instance, context.connection, given);
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
      lease = await acquireLease(instance, context.connection, holder);
      return lease;
    },
    release,
    load: () => load(session, context.connection),
    async begin(given, syncStart) {
      if (transaction !== null) throw new HeadwatersError("DEFECT", "a transaction of this warehouse is under way");
      transaction = await DuckdbTransaction.begin(session, context, given, syncStart, () => (transaction = null));
      return transaction;
    },
    check: (signal) => checkFile(instance, session, signal),
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
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      try {
        await transaction?.[Symbol.asyncDispose]();
        if (lease !== null) await release(lease);
      } finally {
        await session.close();
        await leave(instance, context);
      }
    },
  };
}

/** Everything committed is durable before: that the log could not be folded into the file is worth a word, no more. */
async function leave(instance: Instance, { log }: DestinationContext): Promise<void> {
  try {
    await instance.leave();
  } catch (thrown) {
    log.warn(
      `${instance.path} could not be checkpointed: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    );
  }
}

/** Room that a disk should have, in bytes, before a user is warned. */
const littleRoom = 1 << 30;

async function* checkFile(instance: Instance, session: Session, signal: AbortSignal): AsyncGenerator<CheckResult> {
  signal.throwIfAborted();
  yield { name: "open", label: "Open the file", status: "ok", message: `${instance.path} is ours alone` };
  try {
    await session.run("BEGIN; CREATE TABLE main.headwaters_check (a INTEGER); ROLLBACK");
    yield { name: "write", label: "Write to it", status: "ok", message: "the file can be written" };
  } catch (thrown) {
    await session.rollback();
    yield { name: "write", label: "Write to it", status: "failed", message: (thrown as HeadwatersError).message };
  }
  const { bavail, bsize } = await statfs(dirname(instance.path));
  const room = bavail * bsize;
  const free = `${(room / 2 ** 30).toFixed(1)} GiB are free`;
  yield room < littleRoom
    ? { name: "room", label: "Room on the disk", status: "warning", message: `only ${free} beside ${instance.path}` }
    : { name: "room", label: "Room on the disk", status: "ok", message: free };
}
