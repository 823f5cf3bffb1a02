import duckdb from "@duckdb/node-bindings";
import type { Holder } from "../../protocol/state-store.ts";
import { Session } from "./session.ts";
import type { Storage } from "./storage.ts";

/** How an instance is opened and closed. */
export interface Opening {
  /** Identifies the instance in this process. Callers with the same key share one instance. */
  readonly key: string;
  readonly storage: Storage;
  /** Opens a database that is ready for connections. */
  open(): Promise<duckdb.Database>;
  /** Called before the last user closes the instance. */
  finish(control: Session): Promise<void>;
}

/** The open instances by key. All users of a DuckDB file in this process share one instance. */
const instances = new Map<string, Instance>();

/**
 * An open DuckDB. Two instances of one file in one process silently lose committed rows (seen), and another process
 * can't open the file at all. So only users of this instance can write.
 */
export class Instance {
  /** The holders of leases in this process, by the connection's name. */
  readonly holders = new Map<string, { readonly lease: number; readonly holder: Holder }>();
  readonly #opening: Opening;
  readonly #database: Promise<duckdb.Database>;
  #users = 0;
  #closed: Promise<void> | null = null;
  #prepared: Promise<unknown> = Promise.resolve();
  /** A session outside of any sync's transaction, for leases. */
  #control: Promise<Session> | null = null;

  constructor(opening: Opening) {
    this.#opening = opening;
    this.#database = opening.open();
    // `join` reports this error. A rejection that is not awaited yet must not end the process.
    this.#database.catch(() => {});
  }

  /** `null`: the instance can still be joined. Otherwise resolves when the instance is closed. */
  get closed(): Promise<void> | null {
    return this.#closed;
  }

  async join(): Promise<void> {
    this.#users += 1;
    try {
      await this.#database;
    } catch (thrown) {
      this.#users -= 1;
      this.#forget();
      throw this.#opening.storage.explain(thrown);
    }
  }

  async connect(): Promise<Session> {
    return Session.open(await duckdb.connect(await this.#database), this.#opening.storage);
  }

  control(): Promise<Session> {
    this.#control ??= this.connect();
    return this.#control;
  }

  /** Runs `work` in its own session, before any transaction begins. Concurrent calls run one after the other. */
  prepare(work: (session: Session) => Promise<unknown>): Promise<void> {
    const result = this.#prepared.then(async () => {
      const session = await this.connect();
      try {
        await work(session);
      } finally {
        await session.close();
      }
    });
    this.#prepared = result.catch(() => {});
    return result;
  }

  /** The last user to leave closes the instance. */
  async leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#closed = this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    const control = await this.control();
    try {
      await this.#opening.finish(control);
    } finally {
      await control.close();
      duckdb.close_sync(await this.#database);
      this.#forget();
    }
  }

  #forget(): void {
    if (instances.get(this.#opening.key) === this) instances.delete(this.#opening.key);
  }
}

/** Opens an instance, or joins an open one. Every user must call `leave`. */
export async function openInstance(opening: Opening): Promise<Instance> {
  for (;;) {
    const open = instances.get(opening.key);
    if (open?.closed != null) {
      await open.closed.catch(() => {});
      continue;
    }
    const instance = open ?? new Instance(opening);
    instances.set(opening.key, instance);
    await instance.join();
    return instance;
  }
}
