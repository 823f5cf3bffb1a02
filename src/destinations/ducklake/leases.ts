import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder } from "../../protocol/state-store.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import { kept } from "../sql/kept.ts";
import { syncRunning } from "../sql/running.ts";
import { acquireInProcess, giveLeaseBack, holderOf, releaseInProcess, takeLease } from "../duckdb/leases.ts";
import type { Session } from "../duckdb/session.ts";
import type { Lake } from "./lake.ts";
import type { CatalogLock } from "./lock.ts";

/** The lease of one connection. */
export interface Leases {
  acquire(holder: Holder): Promise<number>;
  release(lease: number): Promise<void>;
  /** As in `Readable`. */
  holder(): Promise<Holder | null>;
}

/** The lease for a catalog in a file, which no other process can have open. */
export function leasesInProcess({ instance }: Lake, connection: string): Leases {
  return {
    acquire: (holder) => retried(null, () => acquireInProcess(instance, connection, holder)),
    release: (lease) => retried(null, () => releaseInProcess(instance, connection, lease)),
    holder: () => holderOf(instance, connection),
  };
}

/**
 * The lease for a catalog that several processes write. The holder of the lock writes the lease, and with it fences off
 * the previous holder.
 */
export function leasesUnder(lock: CatalogLock, control: Session, connection: string): Leases {
  let held: number | null = null;
  return {
    async acquire(holder) {
      if (held !== null || !(await lock.take()))
        throw syncRunning(connection, await writtenHolder(control, connection));
      held = 0;
      try {
        held = await retried(control, () => takeLease(control, connection, holder));
        return held;
      } catch (thrown) {
        held = null;
        await lock.letGo();
        throw thrown;
      }
    },
    async release(lease) {
      if (held !== lease) return;
      await retried(control, () => giveLeaseBack(control, connection, lease));
      held = null;
      await lock.letGo();
    },
    holder: async () => ((await lock.isTaken()) ? writtenHolder(control, connection) : null),
  };
}

/** The holder that the row of the lease names. */
async function writtenHolder(control: Session, connection: string): Promise<Holder | null> {
  const [row] = await control.rows(
    `SELECT host, pid, since FROM ${kept(control, "leases", connection)} WHERE connection = $1 AND held`,
    [connection],
  );
  if (row === undefined) return null;
  return { host: row["host"] as string, pid: Number(row["pid"]), since: row["since"] as string };
}

/** How often work that conflicts with other writers is tried. */
const attempts = 6;

/** Runs `work`, and repeats it if it conflicts with another writer of the lake. */
export async function retried<Result>(session: Session | null, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      await session?.rollback();
      const conflict = thrown instanceof HeadwatersError && thrown.code === "WRITE_CONFLICT";
      if (!conflict || attempt === attempts) throw thrown;
      await sleep(backoff(attempt + 1, 50, 1_000), new AbortController().signal);
    }
  }
}
