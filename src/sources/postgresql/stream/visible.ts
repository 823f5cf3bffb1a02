/** What a snapshot shows of transactions: `xmin:xmax:xip,…`, with epochs. */
interface Snapshot {
  readonly oldest: bigint;
  readonly next: bigint;
  readonly running: ReadonlySet<bigint>;
}

/** `snapshot`: as `txid_current_snapshot` writes it. */
export function visibleIn(snapshot: string): (xid: number) => boolean {
  const [oldest = "0", next = "0", running = ""] = snapshot.split(":");
  const ids = running === "" ? [] : running.split(",").map(BigInt);
  const parts: Snapshot = { oldest: BigInt(oldest), next: BigInt(next), running: new Set(ids) };
  return (xid) => isVisible(xid, parts);
}

/** `xid` has no epoch: it is the transaction with this number that is nearest to the snapshot's. */
function isVisible(xid: number, { oldest, next, running }: Snapshot): boolean {
  const lap = 1n << 32n;
  let full = (next / lap) * lap + BigInt(xid);
  if (full > next + lap / 2n) full -= lap;
  else if (full < next - lap / 2n) full += lap;
  return full < oldest || (full < next && !running.has(full));
}
