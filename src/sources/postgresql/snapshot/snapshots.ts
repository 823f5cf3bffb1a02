import type { Json } from "../../../protocol/json.ts";
import type { Pool } from "../../../net/pool.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { escapeLiteral } from "../../../wire/postgres/literals.ts";
import type { Server } from "../server.ts";

/**
 * What all splits of a pass see.
 *
 * - `exported`: one snapshot. It lasts as long as one of our sessions (the coordinator) keeps its transaction open.
 * - `read_time`: YugabyteDB's rows at one moment, in microseconds. It lasts as long as YugabyteDB keeps that history.
 * - `none`: each split sees the moment in which it is read.
 */
export type Snapshot =
  | { readonly mode: "exported"; readonly id: string }
  | { readonly mode: "read_time"; readonly at: string }
  | { readonly mode: "none" };

/** The statements that begin and end a reading transaction. */
export interface Frame {
  readonly begin: string;
  readonly end: string;
  /** The settings outlive the transaction, so a session whose transaction failed can't be used again. */
  readonly sticky: boolean;
}

const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/**
 * Ends every transaction that reads users' rows. Reading them may run functions of others (a cast of the owner of a type);
 * these can write nothing, and this undoes settings of the session that they changed, such as its search_path.
 */
export const endReading = "ROLLBACK";

interface Coordinator {
  readonly connection: PostgresConnection;
  readonly tables: readonly string[];
  /** Ids of the splits that have not been read to their end. */
  readonly left: Set<string>;
}

/** Takes snapshots, and keeps each alive while its pass is read. */
export class Snapshots implements AsyncDisposable {
  readonly #pool: Pool<PostgresConnection>;
  readonly #coordinators = new Map<string, Coordinator>();
  /** Moments for which the server no longer has history, and exported snapshots that are gone. */
  readonly #past = new Set<string>();

  constructor(pool: Pool<PostgresConnection>) {
    this.#pool = pool;
  }

  /**
   * Takes one snapshot for these splits, in the best way that the server has. Releases the coordinator of an earlier
   * pass over one of the tables, because that pass was given up.
   */
  async take(
    server: Server,
    tables: readonly string[],
    splits: readonly string[],
    signal: AbortSignal,
  ): Promise<Snapshot> {
    const connection = await this.#pool.acquire(signal);
    let held = false;
    try {
      const id = await exportSnapshot(connection, server, signal);
      if (id !== null) {
        this.#coordinators.set(id, { connection, tables, left: new Set(splits) });
        held = true;
        return { mode: "exported", id };
      }
      if (!server.readTime) return { mode: "none" };
      const rows = await connection.query("SELECT (extract(epoch FROM now()) * 1000000)::int8::text AS at", [], signal);
      return { mode: "read_time", at: rows[0]!["at"]! };
    } finally {
      if (!held) await this.#pool.release(connection);
    }
  }

  /** Releases all snapshots that are held for these tables. */
  async release(tables: readonly string[]): Promise<void> {
    for (const [id, coordinator] of this.#coordinators) {
      if (coordinator.tables.some((table) => tables.includes(table))) await this.#end(id);
    }
  }

  /** Whether the snapshot is still there for splits that are read now. `elsewhere`: another process may keep it. */
  holds(snapshot: Snapshot, elsewhere = false): boolean {
    switch (snapshot.mode) {
      case "exported": {
        const own = this.#coordinators.get(snapshot.id);
        return own === undefined ? elsewhere && !this.#past.has(snapshot.id) : own.connection.alive;
      }
      case "read_time":
        return !this.#past.has(snapshot.at);
      case "none":
        return true;
    }
  }

  /** Drops a snapshot that the server no longer has. */
  async lose(snapshot: Snapshot): Promise<void> {
    if (snapshot.mode === "read_time") this.#past.add(snapshot.at);
    if (snapshot.mode === "exported") {
      this.#past.add(snapshot.id);
      await this.#end(snapshot.id);
    }
  }

  /** Notes that a split was read to its end. The last split of a snapshot releases it. */
  async finished(snapshot: Snapshot, split: string): Promise<void> {
    if (snapshot.mode !== "exported") return;
    const left = this.#coordinators.get(snapshot.id)?.left;
    left?.delete(split);
    if (left?.size === 0) await this.#end(snapshot.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#coordinators.keys()]) await this.#end(id);
  }

  async #end(id: string): Promise<void> {
    const coordinator = this.#coordinators.get(id);
    this.#coordinators.delete(id);
    if (coordinator !== undefined) await this.#pool.release(coordinator.connection);
  }
}

/** The frame of a transaction in this snapshot; `staleness` of follower reads in milliseconds, `null`: leaders. */
export function frameOf(snapshot: Snapshot, staleness: number | null): Frame {
  if (staleness !== null) {
    return {
      begin: `SET yb_follower_read_staleness_ms = ${staleness}; SET yb_read_from_followers = on; ${begin}`,
      end: `${endReading}; SET yb_read_from_followers = off`,
      sticky: true,
    };
  }
  switch (snapshot.mode) {
    case "exported":
      return {
        begin: `${begin}; SET TRANSACTION SNAPSHOT ${escapeLiteral(snapshot.id)}`,
        end: endReading,
        sticky: false,
      };
    case "read_time":
      return {
        begin: `SET yb_read_time TO ${escapeLiteral(snapshot.at)}; ${begin}`,
        end: `${endReading}; SET yb_read_time TO 0`,
        sticky: true,
      };
    case "none":
      return { begin, end: endReading, sticky: false };
  }
}

/** Reads the snapshot of a pass from JSON. */
export function snapshotOf(json: Json): Snapshot {
  const { mode, id, at } = json as { mode?: string; id?: string; at?: string };
  if (mode === "exported" && id !== undefined) return { mode, id };
  if (mode === "read_time" && at !== undefined) return { mode, at };
  return { mode: "none" };
}

/** `null`: this YugabyteDB can't export (that needs 2.25.1 and a flag). PostgreSQL always can. */
async function exportSnapshot(
  connection: PostgresConnection,
  server: Server,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const [[id] = []] = await connection.simple(`${begin}; SELECT pg_export_snapshot()`, signal);
    return id ?? null;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!server.yugabyte || !(thrown instanceof HeadwatersError) || thrown.remedy !== "report") throw thrown;
    await connection.rollback();
    return null;
  }
}
