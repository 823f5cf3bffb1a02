import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder } from "../../protocol/state-store.ts";
import { lockTaken } from "../../wire/postgres/literals.ts";
import { hasDied } from "../sql/died.ts";
import { kept } from "../sql/kept.ts";
import { lockKey } from "./dialect.ts";
import type { Session, TextRow } from "./session.ts";

/** The time for the sessions of a dead process to end, in milliseconds. */
const lastBreath = 20_000;
/** The wait for a lock holder that has not written its row yet, in milliseconds: it may have died before writing it. */
const unknown = 3_000;

/**
 * The lease of a connection: only its holder may write. The holder has an advisory lock in its own session, which ends
 * when the process ends for any reason. A row counts the leases and names the newest holder. A writer whose session
 * lost the lock may continue for a while, but can't commit; see `checkLease`.
 */
export class Lease {
  readonly #control: Session;
  readonly #connection: string;
  #held: number | null = null;
  #asking = false;

  /** `control`: a session outside of the writer's transactions. */
  constructor(control: Session, connection: string) {
    this.#control = control;
    this.#connection = connection;
  }

  /** `writer`: the session that commits under the lease. Throws `SYNC_RUNNING`. */
  async acquire(holder: Holder, writer: Session): Promise<number> {
    // The server would grant the lock again to the same session.
    if (this.#held !== null || this.#asking) throw this.#running(await this.#row());
    this.#asking = true;
    try {
      await this.#lock();
      try {
        this.#held = await this.#take(holder, writer);
        return this.#held;
      } catch (thrown) {
        await this.#unlock();
        throw thrown;
      }
    } finally {
      this.#asking = false;
    }
  }

  /** As in `Readable`: the lock ends with the holder's session, the row may outlive it. */
  async holder(): Promise<Holder | null> {
    const [lock] = await this.#control.rows(lockTaken, [lockKey(`connection ${this.#connection}`)]);
    const row = lock!["taken"] === "t" ? await this.#row() : null;
    return row === null ? null : { host: row["host"]!, pid: Number(row["pid"]), since: row["since"]! };
  }

  /** Moves the lease to another writing session. */
  async moveTo(writer: Session): Promise<void> {
    if (this.#held === null || !this.#control.alive) return;
    await this.#control.run(
      `UPDATE ${this.#leases} SET session = $3::bigint,
        started = (SELECT backend_start FROM pg_stat_activity WHERE pid = $3::bigint) WHERE connection = $1 AND lease = $2`,
      [this.#connection, this.#held, writer.processId],
    );
  }

  /** No-op for any other lease. */
  async release(lease: number): Promise<void> {
    if (this.#held !== lease) return;
    this.#held = null;
    // The lock ended with its session.
    if (!this.#control.alive) return;
    await this.#control.run(`UPDATE ${this.#leases} SET held = false WHERE connection = $1 AND lease = $2`, [
      this.#connection,
      lease,
    ]);
    await this.#unlock();
  }

  get #leases(): string {
    return kept(this.#control, "leases", this.#connection);
  }

  async #lock(): Promise<void> {
    const key = lockKey(`connection ${this.#connection}`);
    const [tried] = await this.#control.rows("SELECT pg_try_advisory_lock($1) AS locked", [key]);
    if (tried!["locked"] === "t") return;
    const row = await this.#row();
    if (row !== null && !hasDied({ host: row["host"]!, pid: Number(row["pid"]) })) throw this.#running(row);
    // The holder's session is about to end: the server has not noticed yet, or is finishing the running statement.
    await this.#control.run(`SET lock_timeout = ${row === null ? unknown : lastBreath}`);
    try {
      await this.#control.run("SELECT pg_advisory_lock($1)", [key]);
    } catch (thrown) {
      if (thrown instanceof HeadwatersError && thrown.code === "SERVER_UNAVAILABLE")
        throw this.#running(await this.#row());
      throw thrown;
    } finally {
      await this.#control.run("SET lock_timeout = 0");
    }
  }

  async #unlock(): Promise<void> {
    await this.#control.run("SELECT pg_advisory_unlock($1)", [lockKey(`connection ${this.#connection}`)]);
  }

  async #take({ host, pid, since }: Holder, writer: Session): Promise<number> {
    // The last holder did not release the lease: it is dead or disconnected. Its open transaction must not lock rows.
    await this.#control.run(
      `SELECT pg_terminate_backend(a.pid) FROM ${this.#leases} AS l JOIN pg_stat_activity AS a
        ON a.pid = l.session AND a.backend_start = l.started AND a.usename = current_user
        WHERE l.connection = $1 AND l.held AND a.pid <> $2`,
      [this.#connection, writer.processId],
    );
    return this.#control.number(
      `INSERT INTO ${this.#leases} AS l (connection, lease, host, pid, since, held, session, started)
        SELECT $1, 1, $2, $3::bigint, $4, true, $5::bigint, (SELECT backend_start FROM pg_stat_activity WHERE pid = $5::bigint)
        ON CONFLICT (connection) DO UPDATE SET lease = l.lease + 1, host = excluded.host, pid = excluded.pid,
          since = excluded.since, held = true, session = excluded.session, started = excluded.started
        RETURNING lease`,
      [this.#connection, host, pid, since, writer.processId],
    );
  }

  async #row(): Promise<TextRow | null> {
    const [row] = await this.#control.rows(
      `SELECT host, pid, since FROM ${this.#leases} WHERE connection = $1 AND held`,
      [this.#connection],
    );
    return row ?? null;
  }

  #running(row: TextRow | null): HeadwatersError {
    const who = row === null ? "another process" : `process ${row["pid"]} on ${row["host"]}, since ${row["since"]}`;
    return new HeadwatersError("SYNC_RUNNING", `connection "${this.#connection}" is in use by ${who}`, {
      hint: "Wait until it has ended, or stop it.",
    });
  }
}
