import type { DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { openBookkeeping, refuseOwnSchema } from "../sql/opening.ts";
import { warehouseOn } from "../sql/warehouse.ts";
import { exportParquet } from "./export-parquet.ts";
import { acquireInProcess, holderInProcess, releaseInProcess } from "./leases.ts";
import type { Session } from "./session.ts";
import { checkFile } from "./check.ts";
import type { Configuration } from "./config.ts";
import { type OpenFile, openFile } from "./file.ts";
import { refuseAmbiguous } from "./file-name.ts";

export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  refuseOwnSchema(context);
  const { connection } = context;
  if (how.create) await refuseAmbiguous(configuration.path, context);
  const file = await openFile(configuration, how.create);
  const { path, instance } = file;
  try {
    await instance.prepare((session) => openBookkeeping(session, context, { ...how, place: path }));
    const session = await instance.connect();
    let reading: Session | null = null;
    return warehouseOn(
      {
        session: async () => session,
        reader: async () => (reading ??= await instance.connect()),
        capabilities: { atomic: "connection", writers: "one", ddl: "transactional", reads: "between syncs" },
        acquire: (holder) => acquireInProcess(instance, connection, holder),
        release: (lease) => releaseInProcess(instance, connection, lease),
        holder: async () => holderInProcess(instance, connection),
        check: (signal) => checkFile(path, session, signal),
        exportParquet: (files, how) => exportParquet(session, context, files, how),
        async close() {
          await session.close();
          await reading?.close();
          await leave(file, context);
        },
      },
      context,
    );
  } catch (thrown) {
    await leave(file, context);
    throw thrown;
  }
}

/** A failed checkpoint is only a warning, because everything committed is durable already. */
async function leave({ path, instance }: OpenFile, { log }: DestinationContext): Promise<void> {
  try {
    await instance.leave();
  } catch (thrown) {
    log.warn(`${path} could not be checkpointed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
