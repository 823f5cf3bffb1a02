const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const bytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1 << 10,
  MB: 1 << 20,
  GB: 1 << 30,
  KIB: 1 << 10,
  MIB: 1 << 20,
  GIB: 1 << 30,
};

/** `500ms`, `30s`, `5m`, `6h`, `1d` in milliseconds; `null`: not a duration. */
export function parseDuration(text: string): number | null {
  return parse(text, milliseconds, (unit) => unit.toLowerCase());
}

/** `64MB` in bytes, by powers of 1,024; `null`: not a size. */
export function parseBytes(text: string): number | null {
  return parse(text, bytes, (unit) => unit.toUpperCase());
}

/** The inverse of {@link parseDuration}, in the largest unit that leaves a whole number. */
export function durationText(value: number): string {
  return inLargestUnit(value, milliseconds);
}

/** The inverse of {@link parseBytes}. */
export function bytesText(value: number): string {
  return inLargestUnit(value, { B: 1, KB: 1 << 10, MB: 1 << 20, GB: 1 << 30 });
}

function inLargestUnit(value: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, size]) => value % size === 0);
  const [unit, size] = fitting.at(-1) ?? ["", 1];
  return `${value / size}${unit}`;
}

function parse(
  text: string,
  units: Readonly<Record<string, number>>,
  spelling: (unit: string) => string,
): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const unit = match === null ? undefined : units[spelling(match[2]!)];
  return unit === undefined ? null : Math.round(Number(match![1]) * unit);
}
