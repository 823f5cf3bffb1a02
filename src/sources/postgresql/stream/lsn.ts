/** A position in the write-ahead log, as the server writes it: `16/B374D848`. */
export function lsnOf(text: string): bigint {
  const [high = "", low = ""] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** The earlier of two positions; `null`: no position. */
export function earlier(unseen: bigint | null, reached: bigint): bigint {
  return unseen !== null && unseen < reached ? unseen : reached;
}
