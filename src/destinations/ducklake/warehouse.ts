import type { DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { parseDuration } from "../../toolkit/quantities.ts";
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
import { expireSnapshots, mergeSmallFiles } from "./tidy.ts";

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
    let [rests, expireAt] = [0, 0];
    const merge = async (): Promise<void> => {
      if (configuration.merge_small_files === "auto")
        await tidy("small files were not merged", context, mergeSmallFiles(control, context));
    };
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
          await merge();
          await leases.release(lease);
        },
        // Merged as it goes: each commit makes files.
        async rest() {
          if (++rests % tidyEach !== 0) return;
          await merge();
          const keep = parseDuration(configuration.keep_snapshots);
          if (keep === null || performance.now() < expireAt) return;
          expireAt = performance.now() + expireEach;
          await tidy("old snapshots were not expired", context, expireSnapshots(control, keep));
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

/** Files are tidied up after so many commits while a stream is followed. */
const tidyEach = 10;
/** Snapshots are expired as often, in milliseconds. */
const expireEach = 3_600_000;

/** Tidies up. A failure is only a warning, because it can be done later too. */
async function tidy(what: string, { log }: DestinationContext, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    log.warn(`${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
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
