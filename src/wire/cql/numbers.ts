/** A whole number of any length: big-endian, two's complement, as `varint` goes over the wire. */
export function readVarint(buffer: Buffer, start: number, end: number): bigint {
  const bytes = end - start;
  if (bytes === 0) return 0n;
  if (bytes <= 6) return BigInt(buffer.readIntBE(start, bytes));
  const unsigned = BigInt(`0x${buffer.toString("hex", start, end)}`);
  return BigInt.asIntN(bytes * 8, unsigned);
}

/** The inverse of {@link readVarint}, in the fewest bytes. */
export function writeVarint(value: bigint): Buffer {
  let bytes = 1;
  while (BigInt.asIntN(bytes * 8, value) !== value) bytes += 1;
  const hex = BigInt.asUintN(bytes * 8, value).toString(16);
  return Buffer.from(hex.padStart(bytes * 2, "0"), "hex");
}

/**
 * The most zeros that are written out. Beyond this a decimal is written with an exponent, since a scale may be
 * 2,000,000,000.
 */
const mostZeros = 40;

/** A decimal as text, with every digit and trailing zero: `-1.50`, `12E+90`. The text is also a JSON number. */
export function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return unscaled.toString();
  const negative = unscaled < 0n;
  const digits = (negative ? -unscaled : unscaled).toString();
  const sign = negative ? "-" : "";
  if (scale < 0 || scale > digits.length + mostZeros) {
    return `${sign}${digits}E${scale < 0 ? "+" : "-"}${Math.abs(scale)}`;
  }
  const padded = digits.padStart(scale + 1, "0");
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/** The one form of all decimals that are equal to this one: 1.50 is 1.5, and 1E+3 is 1000. */
export function canonicalDecimal(unscaled: bigint, scale: number): readonly [unscaled: bigint, scale: number] {
  if (unscaled === 0n) return [0n, 0];
  let [digits, places] = [unscaled, scale];
  for (; digits % 10n === 0n; places -= 1) digits /= 10n;
  return places < 0 && places >= -mostZeros ? [digits * powerOfTen(-places), 0] : [digits, places];
}

/** The inverse of {@link decimalText}. */
export function parseDecimal(text: string): { readonly unscaled: bigint; readonly scale: number } | null {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/i.exec(text);
  if (match === null) return null;
  const [, sign, whole, fraction = "", exponent = "0"] = match;
  const digits = BigInt(`${whole}${fraction}`);
  return { unscaled: sign === "-" ? -digits : digits, scale: fraction.length - Number(exponent) };
}

const powers: bigint[] = [1n];

export function powerOfTen(exponent: number): bigint {
  for (let next = powers.length; next <= exponent; next++) powers.push(powers[next - 1]! * 10n);
  return powers[exponent]!;
}

/** `unscaled` with another scale; `null`: digits would be lost, or it has more than 38 + 38 of them. */
export function rescale(unscaled: bigint, from: number, to: number): bigint | null {
  const by = to - from;
  if (by === 0 || unscaled === 0n) return unscaled;
  if (by > 0) return by > 76 ? null : unscaled * powerOfTen(by);
  // A trailing zero may be dropped.
  if (-by > 400) return null;
  const divisor = powerOfTen(-by);
  return unscaled % divisor === 0n ? unscaled / divisor : null;
}

/** The shortest text that reads back as the same binary32; zero keeps its sign. */
export function floatText(value: number): string {
  if (!Number.isFinite(value) || value === 0) return doubleText(value);
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return doubleText(shorter);
  }
  return doubleText(Number(value.toPrecision(9)));
}

/** The shortest text that reads back as the same binary64; zero keeps its sign. */
export function doubleText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  return String(value);
}
