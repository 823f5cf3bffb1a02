import type { DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { openBookkeeping, refuseOwnSchema } from "../sql/opening.ts";
import { bookkeepingSchema, literal } from "../sql/names.ts";
import { exportParquet } from "../duckdb/export-parquet.ts";
import type { Session } from "../duckdb/session.ts";
import { warehouseOn } from "../sql/warehouse.ts";
import { catalogOf } from "./catalog.ts";
import { checkLake } from "./check.ts";
import type { Configuration } from "./config.ts";
import { type Lake, openLake } from "./lake.ts";
import { leasesInProcess, leasesUnder, retried } from "./leases.ts";
import { CatalogLock } from "./lock.ts";
import { refuseNames } from "./placeholders.ts";
import { lakeCatalog } from "./storage.ts";
import { mergeSmallFiles } from "./tidy.ts";

export async function openWarehouse(
  configuration: Configuration,
  context: DestinationContext,
  how: { readonly create: boolean },
): Promise<Warehouse> {
  refuseOwnSchema(context);
  refuseNames(context);
  const { connection } = context;
  const catalog = await catalogOf(configuration);
  const lock =
    catalog.kind === "file"
      ? null
      : await CatalogLock.connect(catalog.settings, catalog.schema ?? "public", connection);
  let lake: Lake | null = null;
  const leave = async (): Promise<void> => {
    try {
      await lake?.instance.leave();
    } finally {
      await lock?.[Symbol.asyncDispose]();
    }
  };
  try {
    const open = async (): Promise<Lake> => {
      const opened = (lake = await openLake(configuration, catalog, how.create ? "create" : "write"));
      await opened.instance.prepare((session) =>
        openLakeBookkeeping(session, context, { ...how, place: opened.place }),
      );
      return opened;
    };
    // Processes that create the same lake at the same time would fail.
    const opened = await (lock === null ? open() : lock.alone(open));
    const control = await opened.instance.control();
    const session = await opened.instance.connect();
    let reading: Session | null = null;
    let rests = 0;
    const leases = lock === null ? leasesInProcess(opened, connection) : leasesUnder(lock, control, connection);
    return warehouseOn(
      {
        session: async () => session,
        reader: async () => (reading ??= await opened.instance.connect()),
        capabilities: {
          atomic: "connection",
          writers: "one",
          ddl: "transactional",
          reads: "while written",
          freshEach: 60_000,
        },
        acquire: leases.acquire,
        holder: leases.holder,
        async release(lease) {
          // Merged under the lease, because two concurrent writers of a table conflict.
          if (configuration.merge_small_files === "auto") await tidy(control, context);
          await leases.release(lease);
        },
        // Merged as it goes: each commit makes files.
        async rest() {
          if (configuration.merge_small_files === "auto" && ++rests % mergeEach === 0) await tidy(control, context);
        },
        check: (signal) => checkLake(opened, lock, session, signal),
        exportParquet: (files, how) => exportParquet(session, context, files, how),
        async close() {
          await session.close();
          await reading?.close();
          await leave();
        },
      },
      context,
    );
  } catch (thrown) {
    await leave();
    throw thrown;
  }
}

/** Small files are merged after so many commits while a stream is followed. */
const mergeEach = 10;

/** Merges small files. A failure is only a warning, because the next sync can merge them too. */
async function tidy(control: Session, context: DestinationContext): Promise<void> {
  try {
    await mergeSmallFiles(control, context);
  } catch (thrown) {
    context.log.warn(`small files were not merged: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/**
 * Up to this number of bookkeeping rows in one statement are written to the catalog instead of a file. It is the
 * maximum number of splits of a pass. A commit then creates only files of its data.
 */
const inlinedRows = 1_000;

async function openLakeBookkeeping(
  session: Session,
  context: DestinationContext,
  how: { readonly create: boolean; readonly place: string },
): Promise<void> {
  const made = await retried(session, () => openBookkeeping(session, context, how));
  if (made.length === 0) return;
  const options = made.map(
    (name) =>
      `CALL ${lakeCatalog}.set_option('data_inlining_row_limit', ${inlinedRows}, schema => ${literal(bookkeepingSchema)}, table_name => ${literal(name)})`,
  );
  await retried(session, async () => void (await session.run(["BEGIN", ...options, "COMMIT"].join("; "))));
}
