import type { Holder } from "../../protocol/state-store.ts";
import type { Session } from "../sql/dialect.ts";
import { hasDied } from "../sql/died.ts";
import { kept } from "../sql/kept.ts";
import { syncRunning } from "../sql/running.ts";
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

/**
 * A holder that lets go of the file between its commits keeps the lease for so long, in milliseconds: `since` in the file then
 * is an interval, which is renewed once half of it is over.
 */
const keptFor = 120_000;

/**
 * Acquires the lease of a connection in a file. No other process can have the file open, so a holder from another
 * process is dead, unless it has let go of the file for a while.
 */
export async function acquireInProcess(instance: Instance, connection: string, holder: Holder): Promise<number> {
  const running = instance.holders.get(connection);
  if (running !== undefined) throw syncRunning(connection, running.holder);
  // Set before the first await, so that one of two concurrent callers is refused.
  instance.holders.set(connection, { lease: 0, holder });
  try {
    const away = await holderAway(instance, connection);
    if (away !== null) throw syncRunning(connection, away);
    const lease = await takeLease(await instance.control(), connection, holder);
    instance.holders.set(connection, { lease, holder });
    return lease;
  } catch (thrown) {
    instance.holders.delete(connection);
    throw thrown;
  }
}

/** As in `Readable`: who has the file open in this process, or has let go of it for a while. */
export async function holderOf(instance: Instance, connection: string): Promise<Holder | null> {
  return instance.holders.get(connection)?.holder ?? (await holderAway(instance, connection));
}

/** Keeps the lease while the file is closed. */
export async function keepLease(
  instance: Instance,
  connection: string,
  { lease, holder }: { readonly lease: number; readonly holder: Holder },
): Promise<void> {
  const control = await instance.control();
  const leases = kept(control, "leases", connection);
  const [row] = await control.rows(`SELECT since FROM ${leases} WHERE connection = $1`, [connection]);
  if (Date.parse(untilOf(row?.["since"] as string) ?? "") > Date.now() + keptFor / 2) return;
  const until = new Date(Date.now() + keptFor).toISOString();
  await control.run(`UPDATE ${leases} SET since = $3 WHERE connection = $1 AND lease = $2::BIGINT AND held`, [
    connection,
    lease,
    `${holder.since}/${until}`,
  ]);
}

/** The end of an interval of ISO 8601; `null`: it is a moment. */
function untilOf(since: string | undefined): string | null {
  return since?.split("/")[1] ?? null;
}

/** Who has let go of the file and comes back; a process of this machine that has ended does not. */
async function holderAway(instance: Instance, connection: string): Promise<Holder | null> {
  const control = await instance.control();
  const [row] = await control.rows(
    `SELECT host, pid, since FROM ${kept(control, "leases", connection)} WHERE connection = $1 AND held`,
    [connection],
  );
  const until = untilOf(row?.["since"] as string | undefined);
  if (row === undefined || until === null || Date.parse(until) < Date.now()) return null;
  const holder = {
    host: row["host"] as string,
    pid: Number(row["pid"]),
    since: (row["since"] as string).split("/")[0]!,
  };
  return hasDied(holder) ? null : holder;
}

export async function releaseInProcess(instance: Instance, connection: string, lease: number): Promise<void> {
  if (instance.holders.get(connection)?.lease !== lease) return;
  await giveLeaseBack(await instance.control(), connection, lease);
  instance.holders.delete(connection);
}
