import { compare, type Datum, typeName } from "./datum.ts";
import { fail, type Path } from "./failure.ts";
import type { Database, Entry, Place, Table } from "./storage.ts";

/** One row of a stream; `entry` where it is a whole stored document, whose bytes can be sent as they are. */
export interface Row {
  readonly datum: Datum;
  readonly entry?: Entry;
}

export interface TableValue {
  readonly kind: "table";
  readonly database: Database;
  readonly table: Table;
  /** The order in which it is read; `null`: as the rows lie. */
  readonly by: string | null;
  readonly descending: boolean;
  /** What `between` left of it. */
  readonly slice: {
    readonly index: string;
    readonly low: Datum | Bound;
    readonly high: Datum | Bound;
    readonly lowOpen: boolean;
    readonly highOpen: boolean;
  } | null;
}

export const lowest: unique symbol = Symbol("minval");
export const highest: unique symbol = Symbol("maxval");
export type Bound = typeof lowest | typeof highest;

export interface FunctionValue {
  readonly kind: "function";
  call(args: readonly Datum[]): Value;
}

/** What `changes` was asked for. */
interface FeedOptions {
  readonly squash: boolean;
  readonly initial: boolean;
  readonly states: boolean;
  readonly types: boolean;
}

/** A feed of a whole table, and what was made of its items. */
export interface FeedValue {
  readonly kind: "feed";
  readonly table: TableValue;
  readonly options: FeedOptions;
  readonly made: readonly ((item: Datum) => Datum)[];
}

/** What a term evaluates to. */
export type Value =
  | { readonly kind: "datum"; readonly datum: Datum }
  | { readonly kind: "database"; readonly database: Database }
  | TableValue
  /** `get`: one document, which may not be there. */
  | { readonly kind: "selection"; readonly table: TableValue; readonly key: Datum }
  | { readonly kind: "stream"; readonly rows: () => Iterable<Row>; readonly of?: TableValue }
  | FeedValue
  | FunctionValue
  | { readonly kind: "bound"; readonly bound: Bound }
  | { readonly kind: "direction"; readonly value: Value; readonly descending: boolean }
  /** Answered later. */
  | { readonly kind: "later"; readonly promise: Promise<Datum> };

export function datum(value: Datum): Value {
  return { kind: "datum", datum: value };
}

/** The value as a datum; a stream is collected. */
export function toDatum(value: Value, path: Path): Datum {
  switch (value.kind) {
    case "datum":
      return value.datum;
    case "selection":
      return value.table.table.get(value.key)?.document ?? null;
    case "stream":
    case "table":
      return [...rowsOf(value, path)].map((row) => row.datum);
    default:
      throw fail("logic", `Expected type DATUM but found ${value.kind.toUpperCase()}.`, path);
  }
}

export function rowsOf(value: Value, path: Path): Iterable<Row> {
  switch (value.kind) {
    case "stream":
      return value.rows();
    case "table":
      return tableRows(value);
    case "datum":
      if (Array.isArray(value.datum)) return value.datum.map((item: Datum) => ({ datum: item }));
      throw fail("logic", `Cannot convert ${typeName(value.datum)} to SEQUENCE`, path);
    case "selection":
      return rowsOf(datum(toDatum(value, path)), path);
    default:
      throw fail("logic", `Cannot convert ${value.kind.toUpperCase()} to SEQUENCE`, path);
  }
}

/** Reads what is there when it comes by: a cursor is no snapshot. */
function* tableRows(value: TableValue): Generator<Row> {
  const { table, slice, by } = value;
  let last: Place | null = null;
  for (;;) {
    const { version } = table;
    const { places, from, to } = range(value);
    const step = value.descending ? -1 : 1;
    const after: Place | null = last;
    const past = (place: Place): boolean => step * table.position(by, place, after!) > 0;
    let index: number = value.descending ? to - 1 : from;
    if (after !== null)
      index = value.descending ? firstIndex(places, (place) => !past(place)) - 1 : firstIndex(places, past);
    for (; index >= from && index < to && table.version === version; index += step) {
      last = places[index]!;
      if (slice === null || within(last.value, slice)) yield { datum: last.entry.document, entry: last.entry };
      if (table.dropped) throw fail("failed", "Cannot perform read: Failed to retrieve the table configuration", []);
    }
    if (table.version === version) return;
  }
}

/** Where what is asked for lies in which order. */
function range({ table, by, slice }: TableValue): {
  readonly places: readonly Place[];
  readonly from: number;
  readonly to: number;
} {
  // Without an order a slice is read as its documents lie, each as often as it is in the index.
  if (by === null && slice !== null) {
    const places = lying(table.order(slice.index));
    return { places, from: 0, to: places.length };
  }
  const places = table.order(by);
  if (slice === null) return { places, from: 0, to: places.length };
  const from = firstIndex(places, ({ value }) => compareBound(value, slice.low) >= 0);
  const to = firstIndex(places, ({ value }) => compareBound(value, slice.high) > 0);
  return { places, from, to };
}

const lyingOrders = new WeakMap<readonly Place[], readonly Place[]>();

function lying(places: readonly Place[]): readonly Place[] {
  const known = lyingOrders.get(places);
  if (known !== undefined) return known;
  const sorted = places.toSorted((a, b) => (a.entry.hash < b.entry.hash ? -1 : a.entry.hash > b.entry.hash ? 1 : 0));
  lyingOrders.set(places, sorted);
  return sorted;
}

function firstIndex(places: readonly Place[], past: (place: Place) => boolean): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (past(places[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function within(value: Datum, slice: NonNullable<TableValue["slice"]>): boolean {
  const low = compareBound(value, slice.low);
  const high = compareBound(value, slice.high);
  return (slice.lowOpen ? low > 0 : low >= 0) && (slice.highOpen ? high < 0 : high <= 0);
}

function compareBound(value: Datum, bound: Datum | Bound): number {
  if (bound === lowest) return 1;
  if (bound === highest) return -1;
  return compare(value, bound as Datum);
}

export function asNumber(value: Datum, path: Path): number {
  if (typeof value === "number") return value;
  throw fail("logic", `Expected type NUMBER but found ${typeName(value)}.`, path);
}

export function asText(value: Datum, path: Path): string {
  if (typeof value === "string") return value;
  throw fail("logic", `Expected type STRING but found ${typeName(value)}.`, path);
}
