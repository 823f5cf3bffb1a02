/** The transactions that a snapshot shows: `xmin:xmax:xip,…`, with epochs. */
interface Snapshot {
  readonly oldest: bigint;
  readonly next: bigint;
  readonly running: ReadonlySet<bigint>;
}

/** A transaction, from its first message. */
export interface Committed {
  /** Without its epoch. */
  readonly xid: number;
  /** When it was committed, by the server's clock: milliseconds since 1970. */
  readonly at: number;
}

/** Whether every look-up that begins from now on sees the changes of a transaction. */
export type Sees = (transaction: Committed) => boolean;

/**
 * Clocks of a YugabyteDB cluster differ by at most half a second (`max_clock_skew_usec`); a node whose clock is further off
 * stops. This is twice as much, in milliseconds.
 */
export const clockSkew = 1_000;

/** `now`: the clock of a YugabyteDB node. A read on any node sees all commits with an earlier time. */
export function committedBefore(now: number): Sees {
  return ({ at }) => at + clockSkew < now;
}

/** `snapshot`: as `txid_current_snapshot` writes it. */
export function visibleIn(snapshot: string): Sees {
  const [oldest = "0", next = "0", running = ""] = snapshot.split(":");
  const ids = running === "" ? [] : running.split(",").map(BigInt);
  const parts: Snapshot = { oldest: BigInt(oldest), next: BigInt(next), running: new Set(ids) };
  return ({ xid }) => isVisible(xid, parts);
}

/** `xid` has no epoch: it is the transaction with this number that is nearest to the snapshot's. */
function isVisible(xid: number, { oldest, next, running }: Snapshot): boolean {
  const lap = 1n << 32n;
  let full = (next / lap) * lap + BigInt(xid);
  if (full > next + lap / 2n) full -= lap;
  else if (full < next - lap / 2n) full += lap;
  return full < oldest || (full < next && !running.has(full));
}
