import type { DestinationCapabilities, DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { openBookkeeping, refuseOwnSchema } from "../sql/opening.ts";
import { warehouseOn } from "../sql/warehouse.ts";
import { checkDestination } from "./check.ts";
import type { Configuration } from "./config.ts";
import { Lease } from "./lease.ts";
import { describeServer } from "./server.ts";
import { Session } from "./session.ts";

/** The capabilities of PostgreSQL. Readers see only whole commits. */
const capabilities: DestinationCapabilities = {
  atomic: "connection",
  writers: "many",
  ddl: "transactional",
  reads: "while written",
  freshEach: 500,
};

/** Opens two sessions: one holds the lease, outside of transactions, and the other one writes. */
export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  refuseOwnSchema(context);
  const { connection } = context;
  const { signal } = new AbortController();
  const control = await Session.open(configuration, signal);
  try {
    await describeServer(control);
    await openBookkeeping(control, context, { ...how, place: `database "${configuration.database}"` });
    const lease = new Lease(control, connection);
    let writer = await Session.open(configuration, signal);
    let reader: Session | null = null;
    return warehouseOn(
      {
        capabilities,
        async session() {
          if (writer.alive) return writer;
          // The session broke in the last transaction, which was rolled back.
          writer = await Session.open(configuration, signal);
          await lease.moveTo(writer);
          return writer;
        },
        async reader() {
          if (reader?.alive !== true) reader = await Session.open(configuration, signal);
          return reader;
        },
        acquire: (holder) => lease.acquire(holder, writer),
        release: (given) => lease.release(given, writer),
        holder: () => lease.holder(),
        team: {
          ...lease.team,
          async join(given, work) {
            if (!writer.alive) writer = await Session.open(configuration, signal);
            return lease.join(given, work, writer);
          },
        },
        check: (asked) => checkDestination(configuration, context, asked),
        async close() {
          await reader?.[Symbol.asyncDispose]();
          await writer[Symbol.asyncDispose]();
          await control[Symbol.asyncDispose]();
        },
      },
      context,
    );
  } catch (thrown) {
    await control[Symbol.asyncDispose]();
    throw thrown;
  }
}
