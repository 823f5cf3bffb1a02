import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import duckdb from "@duckdb/node-bindings";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder } from "../../protocol/sink.ts";
import type { Configuration } from "./config.ts";
import { toHeadwatersError } from "./errors.ts";
import { Session } from "./session.ts";

/** By real path: a DuckDB file has one owner in a process, and all who open it share that one. */
const instances = new Map<string, Instance>();

/**
 * One open DuckDB file. Two instances of one path in one process silently lose committed rows (seen), and another
 * process can't open the file at all: that makes whoever holds the instance the only one who can write.
 */
export class Instance {
  readonly path: string;
  /** Who of this process holds the lease of a connection, by the connection's name. */
  readonly holders = new Map<string, { readonly lease: number; readonly holder: Holder }>();
  readonly #database: Promise<duckdb.Database>;
  #users = 0;
  #closed: Promise<void> | null = null;
  /** Outside any sync's transaction: leases, and what must be there before a transaction begins. */
  #control: Promise<Session> | null = null;

  constructor(path: string, configuration: Configuration) {
    this.path = path;
    this.#database = openDatabase(path, configuration);
    // Whoever awaits it is told; a rejection that nobody awaits yet must not end the process.
    this.#database.catch(() => {});
  }

  /** `null` while it can still be joined, else when it has closed. */
  get closed(): Promise<void> | null {
    return this.#closed;
  }

  async join(): Promise<void> {
    this.#users += 1;
    try {
      await this.#database;
    } catch (thrown) {
      this.#users -= 1;
      if (instances.get(this.path) === this) instances.delete(this.path);
      throw toHeadwatersError(thrown, this.path);
    }
  }

  async connect(): Promise<Session> {
    return Session.open(await duckdb.connect(await this.#database), this.path);
  }

  control(): Promise<Session> {
    this.#control ??= this.connect();
    return this.#control;
  }

  /** The last who leaves folds the log into the file, so that other tools can read it, and closes it. */
  async leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#closed = this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    const control = await this.control();
    try {
      await control.run("CHECKPOINT");
    } finally {
      await control.close();
      duckdb.close_sync(await this.#database);
      instances.delete(this.path);
    }
  }
}

/** Opens a file, or joins those who have it open. Every one of them must `leave`. */
export async function openInstance(configuration: Configuration, create: boolean): Promise<Instance> {
  const path = await realPath(configuration.path);
  for (;;) {
    const open = instances.get(path);
    if (open?.closed != null) {
      await open.closed.catch(() => {});
      continue;
    }
    if (open === undefined && !create && !existsSync(path)) {
      throw new HeadwatersError("DESTINATION_EMPTY", `path: there is no file ${path} yet`, { hint: "Run sync first." });
    }
    const instance = open ?? new Instance(path, configuration);
    instances.set(path, instance);
    await instance.join();
    return instance;
  }
}

/** Links resolved, also where the file itself is not there yet. */
async function realPath(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return existsSync(absolute)
      ? await realpath(absolute)
      : join(await realpath(dirname(absolute)), basename(absolute));
  } catch (thrown) {
    throw new HeadwatersError("DESTINATION_UNUSABLE", `path: the folder of ${absolute} does not exist`, {
      hint: "Make the folder, or choose another path.",
      cause: thrown,
    });
  }
}

async function openDatabase(path: string, configuration: Configuration): Promise<duckdb.Database> {
  const settings: Readonly<Record<string, string>> = {
    memory_limit: configuration.memory_limit,
    temp_directory: configuration.temp_directory ?? `${path}.tmp`,
    // What was freed goes back to the system soon; by default only 128 and 512 MB at a time. (Measured, a sweep of 4 M
    // keys: a peak of 418 MiB instead of 582.)
    allocator_flush_threshold: "16MB",
    allocator_bulk_deallocation_flush_threshold: "32MB",
    // A sync never waits for a download, nor runs code that was not shipped.
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    // Batches are then written as they come; each keeps its order all the same, since one thread feeds it.
    preserve_insertion_order: "false",
    ...(configuration.threads === undefined ? {} : { threads: String(configuration.threads) }),
  };
  const handle = duckdb.create_config();
  for (const [name, value] of Object.entries(settings)) duckdb.set_config(handle, name, value);
  return duckdb.open(path, handle);
}
