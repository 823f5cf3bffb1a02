import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder } from "../../protocol/state-store.ts";
import type { Session } from "../sql/dialect.ts";
import { kept } from "../sql/kept.ts";
import type { Instance } from "./instance.ts";

/** Makes `holder` the newest holder of the connection's lease, even if it was held. Resolves to the lease. */
export async function takeLease(session: Session, connection: string, holder: Holder): Promise<number> {
  const leases = kept(session, "leases", connection);
  const lease = (await session.number(`SELECT max(lease) FROM ${leases} WHERE connection = $1`, [connection])) + 1;
  const values = [connection, lease, holder.host, holder.pid, holder.since];
  const changed = await session.run(
    `UPDATE ${leases} SET lease = $2::BIGINT, host = $3, pid = $4::BIGINT, since = $5, held = TRUE WHERE connection = $1`,
    values,
  );
  if (changed === 0) {
    await session.run(
      `INSERT INTO ${leases} (connection, lease, host, pid, since, held) VALUES ($1, $2::BIGINT, $3, $4::BIGINT, $5, TRUE)`,
      values,
    );
  }
  return lease;
}

export async function giveLeaseBack(session: Session, connection: string, lease: number): Promise<void> {
  await session.run(
    `UPDATE ${kept(session, "leases", connection)} SET held = FALSE WHERE connection = $1 AND lease = $2::BIGINT`,
    [connection, lease],
  );
}

export function syncRunning(connection: string, { host, pid, since }: Holder): HeadwatersError {
  return new HeadwatersError(
    "SYNC_RUNNING",
    `connection "${connection}" is in use by process ${pid} on ${host}, since ${since}`,
    { hint: "Wait until it has ended, or stop it." },
  );
}

/**
 * Acquires the lease of a connection in a file. No other process can have the file open, so a holder from another
 * process is dead.
 */
export async function acquireInProcess(instance: Instance, connection: string, holder: Holder): Promise<number> {
  const running = instance.holders.get(connection);
  if (running !== undefined) throw syncRunning(connection, running.holder);
  // Set before the first await, so that one of two concurrent callers is refused.
  instance.holders.set(connection, { lease: 0, holder });
  try {
    const lease = await takeLease(await instance.control(), connection, holder);
    instance.holders.set(connection, { lease, holder });
    return lease;
  } catch (thrown) {
    instance.holders.delete(connection);
    throw thrown;
  }
}

/** As in `Readable`: whoever has the file open in this process is the only one who can. */
export function holderInProcess(instance: Instance, connection: string): Holder | null {
  return instance.holders.get(connection)?.holder ?? null;
}

export async function releaseInProcess(instance: Instance, connection: string, lease: number): Promise<void> {
  if (instance.holders.get(connection)?.lease !== lease) return;
  await giveLeaseBack(await instance.control(), connection, lease);
  instance.holders.delete(connection);
}
