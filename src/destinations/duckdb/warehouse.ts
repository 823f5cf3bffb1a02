import type { DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder } from "../../protocol/state-store.ts";
import { openBookkeeping, refuseOwnSchema } from "../sql/opening.ts";
import { warehouseOn } from "../sql/warehouse.ts";
import { exportParquet } from "./export-parquet.ts";
import { acquireInProcess, holderOf, keepLease, releaseInProcess } from "./leases.ts";
import type { Session } from "./session.ts";
import { checkFile } from "./check.ts";
import type { Configuration } from "./config.ts";
import { type OpenFile, openFile } from "./file.ts";
import { refuseAmbiguous } from "./file-name.ts";

/** An open file, and the sessions on it. */
interface Open {
  readonly file: OpenFile;
  readonly session: Session;
  reading: Session | null;
}

export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  refuseOwnSchema(context);
  const { connection } = context;
  if (how.create) await refuseAmbiguous(configuration.path, context);
  /** `null`: it rests, so that others may have the file. */
  let open: Open | null = await begin(how.create);
  let held: { readonly lease: number; readonly holder: Holder } | null = null;
  const { path } = open.file;

  async function begin(create: boolean): Promise<Open> {
    const file = await openFile(configuration, create);
    try {
      await file.instance.prepare((session) => openBookkeeping(session, context, { create, place: file.path }));
      return { file, session: await file.instance.connect(), reading: null };
    } catch (thrown) {
      await leave(file, context);
      throw thrown;
    }
  }

  async function opened(): Promise<Open> {
    if (open !== null) return open;
    open = await begin(false);
    if (held !== null) open.file.instance.holders.set(connection, held);
    return open;
  }

  async function close(): Promise<void> {
    if (open === null) return;
    const { file, session, reading } = open;
    open = null;
    await session.close();
    await reading?.close();
    await leave(file, context);
  }

  return warehouseOn(
    {
      session: async () => (await opened()).session,
      async reader() {
        const now = await opened();
        return (now.reading ??= await now.file.instance.connect());
      },
      capabilities: {
        atomic: "connection",
        writers: "one",
        ddl: "transactional",
        reads: "between syncs",
        freshEach: 1_000,
      },
      async acquire(holder) {
        const { instance } = (await opened()).file;
        const lease = await acquireInProcess(instance, connection, holder);
        held = { lease, holder };
        return lease;
      },
      async release(lease) {
        try {
          await releaseInProcess((await opened()).file.instance, connection, lease);
        } catch (thrown) {
          // The lease ends with this process all the same.
          if (!(thrown instanceof HeadwatersError) || thrown.code !== "DESTINATION_BUSY") throw thrown;
          context.log.info(`${thrown.message}: the lease of "${connection}" ends with this process`);
        }
        held = null;
      },
      holder: async () => holderOf((await opened()).file.instance, connection),
      async rest() {
        if (open === null) return;
        if (held !== null) await keepLease(open.file.instance, connection, held);
        open.file.instance.holders.delete(connection);
        await close();
      },
      check: async function* (signal) {
        yield* checkFile(path, (await opened()).session, signal);
      },
      exportParquet: async function* (files, how) {
        yield* exportParquet((await opened()).session, context, files, how);
      },
      close,
    },
    context,
  );
}

/** A failed checkpoint is only a warning, because everything committed is durable already. */
async function leave({ path, instance }: OpenFile, { log }: DestinationContext): Promise<void> {
  try {
    await instance.leave();
  } catch (thrown) {
    log.warn(`${path} could not be checkpointed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
