import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import duckdb from "@duckdb/node-bindings";
import { z } from "zod";
import { HeadwatersError } from "../../protocol/errors.ts";

/** The settings that all destinations written by DuckDB share: the memory and threads that DuckDB may use. */
export const resourceSettings = {
  memory_limit: z
    .string()
    .regex(/^\d+(\.\d+)?\s*([KMGT]i?B)$/i, 'must be a size such as "256MB" or "1GiB"')
    .default("192MB")
    .meta({ description: "Memory that DuckDB may use. Data that does not fit goes to temp_directory." }),
  threads: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .optional()
    .meta({ description: "Threads that DuckDB may use. Default: one for each processor." }),
};

interface Resources {
  readonly memory_limit: string;
  readonly threads?: number | undefined;
}

/** Opens a DuckDB file, or `:memory:`. Data that does not fit into memory goes to the folder `temporary`. */
export async function openDatabase(
  path: string,
  resources: Resources,
  temporary: string,
  more: Readonly<Record<string, string>> = {},
): Promise<duckdb.Database> {
  const settings: Readonly<Record<string, string>> = {
    memory_limit: resources.memory_limit,
    temp_directory: temporary,
    // Returns freed memory to the system sooner than the defaults of 128 and 512 MB do. (Measured, a sweep of 4 M keys:
    // a peak of 418 MiB instead of 582.)
    allocator_flush_threshold: "16MB",
    allocator_bulk_deallocation_flush_threshold: "32MB",
    // A sync never waits for a download, and never runs code that the user did not ask for.
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    // Batches are written as they arrive. The order of rows within a batch is kept, because one thread feeds it.
    preserve_insertion_order: "false",
    ...(resources.threads === undefined ? {} : { threads: String(resources.threads) }),
    ...more,
  };
  const handle = duckdb.create_config();
  for (const [name, value] of Object.entries(settings)) duckdb.set_config(handle, name, value);
  return duckdb.open(path, handle);
}

/** The path of a file with its links resolved. The file need not exist yet. `setting` is the setting in errors. */
export async function realFile(setting: string, path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return existsSync(absolute)
      ? await realpath(absolute)
      : join(await realpath(dirname(absolute)), basename(absolute));
  } catch (thrown) {
    throw new HeadwatersError("DESTINATION_UNUSABLE", `${setting}: the folder of ${absolute} does not exist`, {
      hint: "Make the folder, or choose another path.",
      cause: thrown,
    });
  }
}
