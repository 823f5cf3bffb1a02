import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder, Team } from "../../protocol/state-store.ts";
import { isLock, lockTaken } from "../../wire/postgres/literals.ts";
import { leaseLost } from "../sql/bookkeeping.ts";
import { hasDied } from "../sql/died.ts";
import { syncRunning } from "../sql/running.ts";
import { kept } from "../sql/kept.ts";
import { lockKey } from "./dialect.ts";
import type { Session, TextRow } from "./session.ts";

/** The time for the sessions of a dead process to end, in milliseconds. */
const lastBreath = 20_000;
/** The wait for a lock holder that has not written its row yet, in milliseconds: it may have died before writing it. */
const unknown = 3_000;

/** A team keeps its lease for so long without a member that renews it, in seconds; members renew it once half is over. */
const keptFor = 120;

/** The end of a team's lease, from which `since` in the row is an interval. As ISO 8601, like all moments there. */
const until = `to_char((clock_timestamp() + interval '${keptFor} seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** By the row `l`; NULL: the lease is that of one process. */
const ends = "nullif(split_part(l.since, '/', 2), '')::timestamptz";

/** Stamps go on after those of a team's members, which are by this clock. */
const stampAfterTeam = `CASE WHEN ${ends} IS NULL THEN l.stamp
  ELSE greatest(l.stamp, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END`;

/**
 * The lease of a connection: only its holder may write. The holder has an advisory lock in its own session, which ends
 * when the process ends for any reason. A row counts the leases and names the newest holder. A writer whose session
 * lost the lock may continue for a while, but can't commit; see `checkLease`. A team has no lock: its row has an end, by
 * the server's clock.
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
    return this.#locked(holder, async () => {
      try {
        this.#held = await this.#take(holder, writer);
        return this.#held;
      } catch (thrown) {
        await this.#unlock();
        throw thrown;
      }
    });
  }

  /** As in `StateStore`. The lock is held while the lease is taken, so that a process and a team exclude one another. */
  readonly team: Omit<Team, "join" | "recordTable"> = {
    acquire: (holder) =>
      this.#locked(holder, async () => {
        try {
          return await this.#take(holder, null);
        } finally {
          await this.#unlock();
        }
      }),
    renew: async (lease) => {
      const [row] = await this.#control.rows(
        `SELECT ${ends} < clock_timestamp() + interval '${keptFor / 2} seconds' AS late,
          (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
          FROM ${this.#leases} l WHERE connection = $1 AND lease = $2 AND held`,
        [this.#connection, lease],
      );
      if (row === undefined) throw leaseLost(this.#connection);
      if (row["late"] === "t") {
        const renewed = await this.#control.run(
          `UPDATE ${this.#leases} l SET since = split_part(l.since, '/', 1) || '/' || ${until}
            WHERE connection = $1 AND lease = $2 AND held`,
          [this.#connection, lease],
        );
        if (renewed === 0) throw leaseLost(this.#connection);
      }
      return Number(row["now"]);
    },
    release: async (lease) =>
      void (await this.#control.run(
        `UPDATE ${this.#leases} l SET held = false, stamp = ${stampAfterTeam} WHERE connection = $1 AND lease = $2 AND held`,
        [this.#connection, lease],
      )),
  };

  /** `writer`: the session that commits what a member does. */
  async join(lease: number, work: string, writer: Session): Promise<number> {
    const now = await this.team.renew(lease);
    const key = lockKey(`connection ${this.#connection} work ${work}`);
    await writer.run("SELECT pg_advisory_unlock_all()");
    await writer.run(
      `SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_locks
        WHERE ${isLock} AND pid <> pg_backend_pid()`,
      [key],
    );
    await writer.run(`SET lock_timeout = ${lastBreath}`);
    await writer.run("SELECT pg_advisory_lock($1)", [key]);
    await writer.run("SET lock_timeout = 0");
    return now;
  }

  /** Runs `take` with the lock. Throws `SYNC_RUNNING` while somebody else has it, or another team has the lease. */
  async #locked(holder: Holder, take: () => Promise<number>): Promise<number> {
    if (this.#held !== null || this.#asking) throw await this.#running();
    this.#asking = true;
    try {
      await this.#lock();
      const row = await this.#row();
      const isOwn = row?.["host"] === holder.host && sinceOf(row) === holder.since;
      if (row?.["kept"] === "t" && !isOwn) {
        await this.#unlock();
        throw await this.#running();
      }
      return await take();
    } finally {
      this.#asking = false;
    }
  }

  /** As in `Readable`: the lock ends with the holder's session, the row may outlive it. */
  async holder(): Promise<Holder | null> {
    const [lock] = await this.#control.rows(lockTaken, [lockKey(`connection ${this.#connection}`)]);
    const row = await this.#row();
    return row !== null && (lock!["taken"] === "t" || row["kept"] === "t") ? holderOf(row) : null;
  }

  /** Moves the lease to another writing session, since the one before is lost. So may be the lock's session. */
  async moveTo(writer: Session): Promise<void> {
    if (this.#held === null) return;
    await this.#endWriter(writer, writer.processId, this.#held);
    await writer.run(
      `UPDATE ${this.#leases} SET session = $3::bigint,
        started = (SELECT backend_start FROM pg_stat_activity WHERE pid = $3::bigint) WHERE connection = $1 AND lease = $2`,
      [this.#connection, this.#held, writer.processId],
    );
  }

  /** No-op for any other lease. `writer` does it if the lock's session is lost, which the server may not know. */
  async release(lease: number, writer: Session): Promise<void> {
    if (this.#held !== lease) return;
    this.#held = null;
    const key = lockKey(`connection ${this.#connection}`);
    if (this.#control.alive) {
      try {
        await this.#forget(this.#control, lease);
        return await this.#unlock();
      } catch (thrown) {
        if (this.#control.alive || !writer.alive) throw thrown;
      }
    }
    if (!writer.alive) return;
    await this.#forget(writer, lease);
    await writer.run(`SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_locks WHERE ${isLock} AND pid = $2`, [
      key,
      this.#control.processId,
    ]);
  }

  get #leases(): string {
    return kept(this.#control, "leases", this.#connection);
  }

  async #lock(): Promise<void> {
    const key = lockKey(`connection ${this.#connection}`);
    const [tried] = await this.#control.rows("SELECT pg_try_advisory_lock($1) AS locked", [key]);
    if (tried!["locked"] === "t") return;
    const row = await this.#row();
    if (row !== null && !hasDied(holderOf(row))) throw await this.#running();
    // The holder's session is about to end: the server has not noticed yet, or is finishing the running statement.
    await this.#control.run(`SET lock_timeout = ${row === null ? unknown : lastBreath}`);
    try {
      await this.#control.run("SELECT pg_advisory_lock($1)", [key]);
    } catch (thrown) {
      if (thrown instanceof HeadwatersError && thrown.code === "SERVER_UNAVAILABLE") throw await this.#running();
      throw thrown;
    } finally {
      await this.#control.run("SET lock_timeout = 0");
    }
  }

  async #forget(by: Session, lease: number): Promise<void> {
    await by.run(`UPDATE ${this.#leases} SET held = false WHERE connection = $1 AND lease = $2`, [
      this.#connection,
      lease,
    ]);
  }

  async #unlock(): Promise<void> {
    await this.#control.run("SELECT pg_advisory_unlock($1)", [lockKey(`connection ${this.#connection}`)]);
  }

  /** `writer`: `null` for a team. */
  async #take({ host, pid, since }: Holder, writer: Session | null): Promise<number> {
    // The last holder did not release the lease: it is dead or disconnected.
    await this.#endWriter(this.#control, writer?.processId ?? null, null);
    return this.#control.number(
      `INSERT INTO ${this.#leases} AS l (connection, lease, host, pid, since, held, session, started)
        SELECT $1, 1, $2, $3::bigint, $4${writer === null ? ` || '/' || ${until}` : ""}, true, $5::bigint, (SELECT backend_start FROM pg_stat_activity WHERE pid = $5::bigint)
        ON CONFLICT (connection) DO UPDATE SET lease = l.lease + 1, host = excluded.host, pid = excluded.pid,
          since = excluded.since, held = true, session = excluded.session, started = excluded.started,
          stamp = ${stampAfterTeam}
        RETURNING lease`,
      [this.#connection, host, pid, since, writer?.processId ?? null],
    );
  }

  /**
   * Ends the session that wrote under the lease until now. Nobody uses it any more, but the server may not know that its
   * connection broke: its open transaction would lock rows for hours. `next`: the session that writes from now on. `lease`:
   * only of this lease; `null`: of whoever had it last.
   */
  async #endWriter(by: Session, next: number | null, lease: number | null): Promise<void> {
    await by.run(
      `SELECT pg_terminate_backend(a.pid) FROM ${this.#leases} AS l JOIN pg_stat_activity AS a
        ON a.pid = l.session AND a.backend_start = l.started AND a.usename = current_user
        WHERE l.connection = $1 AND l.held AND a.pid IS DISTINCT FROM $2::bigint
          AND l.lease = coalesce($3::bigint, l.lease)`,
      [this.#connection, next, lease],
    );
  }

  /** `kept`: it is the lease of a team, which is not over. */
  async #row(): Promise<TextRow | null> {
    const [row] = await this.#control.rows(
      `SELECT host, pid, since, coalesce(${ends} > clock_timestamp(), false) AS kept
        FROM ${this.#leases} l WHERE connection = $1 AND held`,
      [this.#connection],
    );
    return row ?? null;
  }

  async #running(): Promise<HeadwatersError> {
    const row = await this.#row();
    return syncRunning(this.#connection, row === null ? null : holderOf(row));
  }
}

function sinceOf(row: TextRow): string {
  return row["since"]!.split("/")[0]!;
}

function holderOf(row: TextRow): Holder {
  return { host: row["host"]!, pid: Number(row["pid"]), since: sinceOf(row) };
}
