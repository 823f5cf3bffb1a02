/** Created with the first number, because creating it takes as long as connecting to a server. */
let grouped: Intl.NumberFormat | null = null;

/** `1204331` as `1,204,331`. */
export function count(value: number): string {
  grouped ??= new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  return grouped.format(value);
}

/** `1 row`, `1,200 rows`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A rate with about three digits: `950/s`, `41.2k/s`, `1.25M/s`. */
export function rate(perSecond: number): string {
  if (perSecond < 1_000) return `${Math.round(perSecond)}/s`;
  const [value, unit] = perSecond < 999_500 ? [perSecond / 1_000, "k"] : [perSecond / 1_000_000, "M"];
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)}${unit}/s`;
}

/** `0.4 s`, `12 s`, `3 m 05 s`, `2 h 07 m`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1_000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [most, rest, units] =
    whole < 3_600
      ? [Math.floor(whole / 60), whole % 60, ["m", "s"]]
      : [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60), ["h", "m"]];
  return `${most} ${units[0]} ${String(rest).padStart(2, "0")} ${units[1]}`;
}

/** `512 B`, `1.4 MiB`. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** An ISO 8601 time in UTC, to the second: `2026-01-31 09:05:00Z`. Other text stays unchanged. */
export function moment(iso: string): string {
  const parsed = new Date(iso);
  return Number.isNaN(parsed.getTime())
    ? iso
    : parsed
        .toISOString()
        .replace("T", " ")
        .replace(/\.\d+Z$/, "Z");
}
