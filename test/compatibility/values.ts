import type { Column, Type } from "headwaters";
import type { Value } from "../fixtures/warehouses/sources/tables.ts";

/** A row by column, its values as one text whatever the destination; `null` is NULL. */
export type Texts = Readonly<Record<string, string | null>>;

/** The one text of a value, reckoned from the value alone. */
function textOf(value: Value, type: Type): string | null {
  if (value === null) return null;
  switch (type.kind) {
    case "DECIMAL":
      return scaled(value as bigint, type.scale);
    case "FLOAT":
      return String(Math.fround(Number(value)));
    case "NAIVE_DATE":
      return infinity(value, 2_147_483_647) ?? new Date(Number(value) * 86_400_000).toISOString().slice(0, 10);
    case "NAIVE_TIME":
      return momentOf(value as bigint).slice(11);
    case "NAIVE_DATETIME":
      return infinity(value, 2 ** 63) ?? momentOf(value as bigint);
    case "UTC_DATETIME":
      return infinity(value, 2 ** 63) ?? `${momentOf(value as bigint)}+00`;
    case "BINARY":
      return Buffer.from(value as Uint8Array).toString("hex");
    default:
      return String(value);
  }
}

/** The one text of what a destination made of a value by a cast to text. */
export function normalText(text: string | null, { kind }: Type): string | null {
  // DuckDB leaves out the zero before the point where no other digit can stand there.
  if (kind === "DECIMAL") return text?.replace(/^(-?)\./, "$10.") ?? null;
  if (text === null || (kind !== "FLOAT" && kind !== "DOUBLE")) return text;
  const number = special[text.toLowerCase()] ?? Number(text);
  return String(kind === "FLOAT" ? Math.fround(number) : number);
}

const special: Readonly<Record<string, number>> = {
  nan: NaN,
  inf: Infinity,
  infinity: Infinity,
  "-inf": -Infinity,
  "-infinity": -Infinity,
};

function infinity(value: Value, most: number): string | null {
  if (Number(value) === most) return "infinity";
  return Number(value) === -most ? "-infinity" : null;
}

function scaled(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** As `2026-01-31 12:34:56.5`: of a fraction only the digits that are not zeros at its end. */
function momentOf(micros: bigint): string {
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((micros - rest) / 1_000n)).toISOString().slice(0, 19).replace("T", " ");
  const fraction = String(rest).padStart(6, "0").replace(/0+$/, "");
  return fraction === "" ? seconds : `${seconds}.${fraction}`;
}

/** Rows of the source as a copy must have them, in an order of their own. */
export function expectedRows(
  columns: readonly Column[],
  rows: Iterable<Readonly<Record<string, Value>>>,
): readonly Texts[] {
  return sorted(
    [...rows].map((cells) =>
      Object.fromEntries(columns.map(({ name, type }) => [name, textOf(cells[name] ?? null, type)])),
    ),
  );
}

export function sorted(rows: readonly Texts[]): readonly Texts[] {
  return rows
    .map((row) => [JSON.stringify(row), row] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, row]) => row);
}
