/**
 * The shortest text that reads back as the same double, in the notation of C's `%g`: 0.1, 1.5e+20. Servers write scores
 * differently: Redis 7.0 has 0.10000000000000001 where 7.2 and Valkey have 0.1.
 */
export function shortestNumber(value: number): string {
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 17) return Object.is(value, -0) ? "-0" : String(value);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}
