import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext, Warehouse } from "../../protocol/destination.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { openBookkeeping, refuseOwnSchema } from "../sql/kept.ts";
import { warehouseOn } from "../sql/warehouse.ts";
import { exportParquet } from "./export-parquet.ts";
import { acquireInProcess, holderInProcess, releaseInProcess } from "./leases.ts";
import type { Session } from "./session.ts";
import type { Configuration } from "./config.ts";
import { type OpenFile, openFile } from "./file.ts";

export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  refuseOwnSchema(context);
  const { connection } = context;
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

/** With less free disk space than this, in bytes, the user is warned. */
const littleRoom = 1 << 30;

async function* checkFile(path: string, session: Session, signal: AbortSignal): AsyncGenerator<CheckResult> {
  signal.throwIfAborted();
  yield { name: "open", label: "Open the file", status: "ok", message: `${path} is ours alone` };
  try {
    await session.run("BEGIN; CREATE TABLE main.headwaters_check (a INTEGER); ROLLBACK");
    yield { name: "write", label: "Write to it", status: "ok", message: "the file can be written" };
  } catch (thrown) {
    await session.rollback();
    yield { name: "write", label: "Write to it", status: "failed", message: (thrown as HeadwatersError).message };
  }
  const { bavail, bsize } = await statfs(dirname(path));
  const room = bavail * bsize;
  const free = `${(room / 2 ** 30).toFixed(1)} GiB are free`;
  yield room < littleRoom
    ? { name: "room", label: "Room on the disk", status: "warning", message: `only ${free} beside ${path}` }
    : { name: "room", label: "Room on the disk", status: "ok", message: free };
}
