/** Milliseconds since 1970 that microseconds can hold in 64 bits. */
const mostMilliseconds = 9_223_372_036_854_775n;

/** Microseconds since 1970; `null` if 64 bits can't hold them: such a time is after the year 294,000. */
export function microsecondsOf(milliseconds: bigint): bigint | null {
  return milliseconds > mostMilliseconds ? null : milliseconds * 1_000n;
}
