/** Microseconds since 1970 of an ISO 8601 time in UTC with up to six decimals. */
export function microsecondsOf(iso: string): bigint {
  const decimals = /\.(\d{1,6})/.exec(iso)?.[1] ?? "";
  return BigInt(Date.parse(iso.replace(/\.\d+/, ""))) * 1_000n + BigInt(decimals.padEnd(6, "0"));
}
