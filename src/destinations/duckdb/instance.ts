import duckdb from "@duckdb/node-bindings";
import type { Holder } from "../../protocol/state-store.ts";
import { Session } from "./session.ts";
import type { Storage } from "./storage.ts";

/** What is opened, and how. */
export interface Opening {
  /** What it is in this process: whoever gives the same shares one instance. */
  readonly key: string;
  readonly storage: Storage;
  /** A database that is ready for connections. */
  open(): Promise<duckdb.Database>;
  /** What the last user does before it is closed. */
  finish(control: Session): Promise<void>;
}

/** A file of DuckDB has one owner in a process, and all who open it share that one. */
const instances = new Map<string, Instance>();

/**
 * One open DuckDB. Two instances of one file in one process silently lose committed rows (seen), and another process
 * can't open the file at all: that makes whoever holds the instance the only one who can write.
 */
export class Instance {
  /** Who of this process holds the lease of a connection, by the connection's name. */
  readonly holders = new Map<string, { readonly lease: number; readonly holder: Holder }>();
  readonly #opening: Opening;
  readonly #database: Promise<duckdb.Database>;
  #users = 0;
  #closed: Promise<void> | null = null;
  #prepared: Promise<unknown> = Promise.resolve();
  /** Outside any sync's transaction: leases. */
  #control: Promise<Session> | null = null;

  constructor(opening: Opening) {
    this.#opening = opening;
    this.#database = opening.open();
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

  /** Makes what must be there before a transaction begins: one connection after the other, in a session of its own. */
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

  /** The last who leaves closes it. */
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

/** Opens it, or joins those who have it open. Every one of them must `leave`. */
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
