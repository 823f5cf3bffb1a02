import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationCapabilities, DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { hasBookkeeping, kept, load, loadRuns, makeBookkeeping } from "./bookkeeping.ts";
import { checkDestination } from "./check.ts";
import { compareCopy } from "./compare.ts";
import type { Configuration } from "./config.ts";
import { describeCopy } from "./copies.ts";
import { Lease } from "./lease.ts";
import { quotedSystem } from "./merge.ts";
import { bookkeepingSchema } from "./names.ts";
import { describeServer } from "./server.ts";
import { Session } from "./session.ts";
import { PostgresqlTransaction } from "./transaction.ts";

/** What a copy in PostgreSQL offers: readers see whole commits only. */
const capabilities: DestinationCapabilities = {
  atomic: "connection",
  writers: "one",
  ddl: "transactional",
  reads: "while written",
};

/** Two sessions: one has the lease and works outside of transactions, the other one writes. */
interface Sessions {
  readonly control: Session;
  readonly writer: Session;
}

export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  if (context.schema.toLowerCase() === bookkeepingSchema) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `schema: "${context.schema}" is where Headwaters keeps its own`,
      { hint: "Choose another schema." },
    );
  }
  const { signal } = new AbortController();
  const control = await Session.open(configuration, signal);
  try {
    await describeServer(control);
    if (how.create) await makeBookkeeping(control, context.schema);
    else await mustHold(control, context.connection, configuration);
    const writer = await Session.open(configuration, signal);
    return warehouseOf({ control, writer }, configuration, context);
  } catch (thrown) {
    await control[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function mustHold(session: Session, connection: string, { database }: Configuration): Promise<void> {
  const held =
    (await hasBookkeeping(session)) &&
    (await session.number(`SELECT count(*) FROM ${kept("leases")} WHERE connection = $1`, [connection])) > 0;
  if (held) return;
  throw new HeadwatersError(
    "DESTINATION_EMPTY",
    `database "${database}" holds nothing of connection "${connection}" yet`,
    { hint: "Run sync first." },
  );
}

function warehouseOf(
  { control, writer }: Sessions,
  configuration: Configuration,
  context: DestinationContext,
): Warehouse {
  const lease = new Lease(control, context.connection);
  let session = writer;
  let transaction: PostgresqlTransaction | null = null;
  let closed = false;

  /** The session that writes: another one, where it broke in the transaction before, which is undone. */
  const writing = async (): Promise<Session> => {
    if (session.alive) return session;
    session = await Session.open(configuration, new AbortController().signal);
    await lease.moveTo(session);
    return session;
  };

  return {
    capabilities,
    acquire: (holder) => lease.acquire(holder, session),
    release: (given) => lease.release(given),
    load: async () => load(await writing(), context.connection),
    async begin(given, stamp) {
      if (transaction !== null) throw new HeadwatersError("DEFECT", "a transaction of this warehouse is under way");
      await writing();
      transaction = await PostgresqlTransaction.begin(session, context, given, stamp, () => (transaction = null));
      return transaction;
    },
    check: (signal) => checkDestination(configuration, context, signal),
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
        if (lease.held !== null) await lease.release(lease.held);
      } finally {
        await session[Symbol.asyncDispose]();
        await control[Symbol.asyncDispose]();
      }
    },
  };
}
