/** The milliseconds before or after 1970 that a JavaScript date can hold. */
export const mostMilliseconds = 8.64e15;

const pad = (value: number, digits: number): string => String(value).padStart(digits, "0");

/** Years of more than four digits have a sign, as in ISO 8601. */
function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return pad(year, 4);
  return `${year < 0 ? "-" : "+"}${pad(Math.abs(year), 4)}`;
}

/** The day `days` after 1970-01-01, for any 32-bit number (H. Hinnant, "chrono-compatible low-level date algorithms"). */
export function dateText(days: number): string {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${yearText(year)}-${pad(month, 2)}-${pad(day, 2)}`;
}

/** The inverse of {@link dateText}: days after 1970-01-01; `null`: it is no date. */
export function parseDate(text: string): number | null {
  const match = /^([+-]?\d{4,})-(\d\d)-(\d\d)$/.exec(text);
  if (match === null) return null;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** `2024-05-17T08:00:00.000Z`, also for milliseconds that no JavaScript date can hold. */
export function timestampText(milliseconds: bigint): string {
  const day = 86_400_000n;
  const days = (milliseconds >= 0n ? milliseconds : milliseconds - day + 1n) / day;
  const inDay = Number(milliseconds - days * day);
  const [hour, minute, second] = [inDay / 3_600_000, (inDay / 60_000) % 60, (inDay / 1_000) % 60].map(Math.floor);
  // The days of 64-bit milliseconds exceed the 2³¹ for which dateText is exact; doubles still hold them.
  return `${dateText(Number(days))}T${pad(hour!, 2)}:${pad(minute!, 2)}:${pad(second!, 2)}.${pad(inDay % 1_000, 3)}Z`;
}

/** The inverse of {@link timestampText}: milliseconds; `null`: it is no timestamp. */
export function parseTimestamp(text: string): bigint | null {
  const match = /^(.+)T(.+)Z$/.exec(text);
  const [days, nanoseconds] = match === null ? [null, null] : [parseDate(match[1]!), parseTime(match[2]!)];
  return days === null || nanoseconds === null ? null : BigInt(days) * 86_400_000n + nanoseconds / 1_000_000n;
}

/** `08:30:00.000000001` of nanoseconds since midnight. */
export function timeText(nanoseconds: bigint): string {
  const seconds = Number(nanoseconds / 1_000_000_000n);
  const rest = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  return `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}.${rest}`;
}

/** The inverse of {@link timeText}, with as many digits of a second as there are; `null`: it is no time. */
export function parseTime(text: string): bigint | null {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return null;
  const [hours, minutes, seconds] = match.slice(1, 4).map(Number) as [number, number, number];
  return BigInt((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000n + BigInt((match[4] ?? "").padEnd(9, "0"));
}

const units = [
  ["h", 3_600_000_000_000n],
  ["m", 60_000_000_000n],
  ["s", 1_000_000_000n],
  ["ms", 1_000_000n],
  ["us", 1_000n],
  ["ns", 1n],
] as const;

/** As CQL writes durations: `1y2mo3d4h5m6s`, `-3d`, `0s`. All parts have the same sign. */
export function durationText(months: bigint, days: bigint, nanoseconds: bigint): string {
  const negative = months < 0n || days < 0n || nanoseconds < 0n;
  const positive = (value: bigint): bigint => (value < 0n ? -value : value);
  let text = "";
  const years = positive(months) / 12n;
  if (years > 0n) text += `${years}y`;
  if (positive(months) % 12n > 0n) text += `${positive(months) % 12n}mo`;
  if (days !== 0n) text += `${positive(days)}d`;
  let left = positive(nanoseconds);
  for (const [unit, size] of units) {
    if (left >= size) text += `${left / size}${unit}`;
    left %= size;
  }
  return text === "" ? "0s" : `${negative ? "-" : ""}${text}`;
}

/** IPv4 by its four numbers, IPv6 as RFC 5952 writes it; `bytes` are 4 or 16. */
export function inetText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[index * 2]! << 8) | bytes[index * 2 + 1]!);
  let [from, length] = [-1, 1];
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - start > length) [from, length] = [start, end - start];
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  return from < 0 ? hex(groups) : `${hex(groups.slice(0, from))}::${hex(groups.slice(from + length))}`;
}
