import { termNumbers as T } from "../../../src/wire/reql/terms.ts";
import { demand } from "./access.ts";
import { compare, type Datum, type DatumObject, isObject, keyProblem, typeName } from "./datum.ts";
import { type Call, isTrue, type TermRule } from "./call.ts";
import { changes } from "./feeds.ts";
import { Failure, fail, type Path } from "./failure.ts";
import type { Database } from "./storage.ts";
import { systemRows, systemTables } from "./system-tables.ts";
import { fieldOf } from "./terms-value.ts";
import {
  asNumber,
  asText,
  type Bound,
  datum,
  type Row,
  rowsOf,
  type TableValue,
  toDatum,
  type Value,
} from "./values.ts";

/** Elements that an array may have, unless the query says otherwise. */
const arrayLimit = 100_000;

/** Terms that read tables and go over sequences. */
export const readTerms: Readonly<Record<number, TermRule>> = {
  [T.DB]: { takes: [1, 1], run: database },
  [T.TABLE]: { takes: [1, 2], run: table },
  [T.GET]: { takes: [2, 2], run: get },
  [T.GET_ALL]: { takes: [1, Infinity], run: getAll },
  [T.BETWEEN]: { takes: [3, 3], run: between },
  [T.ORDER_BY]: { takes: [1, Infinity], run: orderBy },
  [T.MAP]: { takes: [2, 2], run: (call) => mapped(call, (fn, row) => toDatum(fn([row]), call.path)) },
  [T.FILTER]: { takes: [2, 2], run: filter },
  [T.PLUCK]: { takes: [1, Infinity], run: (call) => onObjects(call, (row) => pluck(row, call.data(1))) },
  [T.WITHOUT]: { takes: [1, Infinity], run: (call) => onObjects(call, (row) => without(row, call.data(1))) },
  [T.MERGE]: {
    takes: [1, Infinity],
    run: (call) => onObjects(call, (row) => ({ ...row, ...(call.datum(1) as DatumObject) })),
  },
  [T.WITH_FIELDS]: {
    takes: [1, Infinity],
    run: (call) => {
      const names = call.data(1) as string[];
      return chosen(
        call,
        (row) => hasFields(row, names),
        (row) => pluck(row, names),
      );
    },
  },
  [T.HAS_FIELDS]: { takes: [1, Infinity], run: (call) => hasFieldsOf(call) },
  [T.GET_FIELD]: { takes: [2, 2], run: bracket },
  [T.BRACKET]: { takes: [2, 2], run: bracket },
  [T.LIMIT]: { takes: [2, 2], run: (call) => part(call, 0, asNumber(call.datum(1), call.pathOf(1))) },
  [T.SKIP]: { takes: [2, 2], run: (call) => part(call, asNumber(call.datum(1), call.pathOf(1)), Infinity) },
  [T.SAMPLE]: { takes: [2, 2], run: (call) => datum(allData(call).slice(0, asNumber(call.datum(1), call.pathOf(1)))) },
  [T.COUNT]: { takes: [1, 2], run: count },
  [T.IS_EMPTY]: { takes: [1, 1], run: (call) => datum([...rows(call)].length === 0) },
  [T.UNION]: { takes: [0, Infinity], run: union },
  [T.COERCE_TO]: { takes: [2, 2], run: coerce },
  [T.CHANGES]: { takes: [1, 1], run: changes },
  [T.SUM]: { takes: [1, 2], run: sum },
  [T.MIN]: { takes: [1, 2], run: (call) => extreme(call, "min") },
  [T.MAX]: { takes: [1, 2], run: (call) => extreme(call, "max") },
};

function database(call: Call): Value {
  const name = asText(call.datum(0), call.pathOf(0));
  if (name === "rethinkdb") return { kind: "database", database: { id: "rethinkdb", name, tables: new Map() } };
  const found = call.context.store.databases.get(name);
  if (found === undefined) throw fail("failed", `Database \`${name}\` does not exist.`, call.path);
  return { kind: "database", database: found };
}

function table(call: Call): Value {
  const value = call.value(0);
  if (value.kind !== "database") throw fail("logic", "Expected type DB.", call.path);
  const name = asText(call.datum(1), call.pathOf(1));
  if (!/^[\w-]+$/.test(name)) {
    throw fail("logic", `Table name \`${name}\` invalid (Use A-Z, a-z, 0-9, _ and - only).`, call.pathOf(1));
  }
  if (value.database.name === "rethinkdb") return systemTable(call, value.database, name);
  const found = value.database.tables.get(name);
  if (found === undefined) throw fail("failed", `Table \`${value.database.name}.${name}\` does not exist.`, call.path);
  return { kind: "table", database: value.database, table: found, by: null, descending: false, slice: null };
}

function systemTable(call: Call, { name: database }: Database, name: string): Value {
  if (!systemTables.includes(name)) throw fail("failed", `Table \`${database}.${name}\` does not exist.`, call.path);
  const { user } = call.context;
  if (user.grants.get("rethinkdb")?.read !== true && user.name !== "admin") {
    throw fail("permission", `User \`${user.name}\` does not have the required \`read\` permission.`, call.path);
  }
  return { kind: "stream", rows: () => systemRows(name, call.context).map((row) => ({ datum: row })) };
}

/** A table that this user may read. */
export function readable(call: Call, index: number, path: Path = call.path): TableValue {
  const value = call.value(index);
  if (value.kind !== "table") throw fail("logic", `Expected type TABLE but found ${value.kind.toUpperCase()}.`, path);
  demand(call.context.user, "read", value.database, value.table, path);
  return value;
}

function rows(call: Call): Iterable<Row> {
  const value = call.value(0);
  if (value.kind === "table") demand(call.context.user, "read", value.database, value.table, call.pathOf(0));
  return rowsOf(value, call.pathOf(0));
}

function get(call: Call): Value {
  const value = readable(call, 0);
  const key = call.value(1);
  if (key.kind === "bound") return datum(null);
  const problem = keyProblem(call.datum(1));
  if (problem !== null) throw fail("logic", problem, call.path);
  return { kind: "selection", table: value, key: call.datum(1) };
}

function getAll(call: Call): Value {
  const value = readable(call, 0);
  const index = indexOf(call, value);
  const wanted = call.data(1);
  return {
    kind: "stream",
    of: value,
    *rows() {
      for (const key of wanted) {
        if (index === value.table.primaryKey) {
          const entry = value.table.get(key);
          if (entry !== undefined) yield { datum: entry.document, entry };
          continue;
        }
        for (const place of value.table.order(index))
          if (compare(place.value, key) === 0) yield { datum: place.entry.document, entry: place.entry };
      }
    },
  };
}

/** The index that a term names, which must be there and ready. */
function indexOf(call: Call, { table, database }: TableValue): string {
  const name = (call.option("index") as string | undefined) ?? table.primaryKey;
  if (name === table.primaryKey) return name;
  const index = table.indexes.get(name);
  if (index === undefined) {
    throw fail("failed", `Index \`${name}\` was not found on table \`${database.name}.${table.name}\`.`, call.path);
  }
  if (!index.ready) {
    const where = `Index \`${name}\` on table \`${database.name}.${table.name}\``;
    throw fail("failed", `${where} was accessed before its construction was finished.`, call.path);
  }
  return name;
}

function between(call: Call): Value {
  const value = readable(call, 0);
  const bound = (index: number): Datum | Bound => {
    const given = call.value(index);
    if (given.kind === "bound") return given.bound;
    const key = call.datum(index);
    if (key !== null) return key;
    throw fail(
      "logic",
      "Cannot use `null` in BETWEEN, use `r.minval` or `r.maxval` to denote unboundedness.",
      call.pathOf(index),
    );
  };
  const slice: NonNullable<TableValue["slice"]> = {
    low: bound(1),
    high: bound(2),
    index: indexOf(call, value),
    lowOpen: call.option("left_bound") === "open",
    highOpen: call.option("right_bound") !== "closed",
  };
  return { ...value, slice };
}

function orderBy(call: Call): Value {
  const value = call.value(0);
  if (!call.options.includes("index")) return unindexedOrder(call);
  if (value.kind !== "table") {
    throw fail(
      "logic",
      "Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes before any transformations (such as map) or filters.",
      call.path,
    );
  }
  demand(call.context.user, "read", value.database, value.table, call.path);
  const given = call.optionValue("index")!;
  const descending = given.kind === "direction" && given.descending;
  const name = asText(toDatum(given.kind === "direction" ? given.value : given, call.path), call.path);
  if (value.slice !== null && value.slice.index !== name) {
    throw fail("logic", `Cannot order by index \`${name}\` after calling BETWEEN on index \`${value.slice.index}\`.`, [
      ...call.path,
      0,
      0,
    ]);
  }
  if (name !== value.table.primaryKey && !value.table.indexes.has(name)) {
    const where = `${value.database.name}.${value.table.name}`;
    throw fail("failed", `Index \`${name}\` was not found on table \`${where}\`.`, call.path);
  }
  return { ...value, by: name, descending };
}

/** Missing fields come first, then null with the others. */
function unindexedOrder(call: Call): Value {
  const given = call.value(1);
  const descending = given.kind === "direction" && given.descending;
  const field = asText(toDatum(given.kind === "direction" ? given.value : given, call.path), call.path);
  const valueOf = (row: Datum): Datum | undefined => (isObject(row) ? row[field] : undefined);
  const sorted = allData(call).sort((a, b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined);
    return compare(left, right);
  });
  return datum(descending ? sorted.reverse() : sorted);
}

function allData(call: Call): Datum[] {
  const most = (call.context.options["array_limit"] as number | undefined) ?? arrayLimit;
  const all: Datum[] = [];
  for (const row of rows(call)) {
    all.push(row.datum);
    if (all.length <= most) continue;
    const rest =
      "To raise the number of allowed elements, modify the `array_limit` option to `.run` (not available in the Data Explorer), or use an index.";
    throw fail("limit", `Array over size limit \`${most}\`.  ${rest}`, call.path);
  }
  return all;
}

/** A sequence stays a stream where it was one. */
function derived(call: Call, make: (rows: Iterable<Row>) => Iterable<Row>): Value {
  const value = call.value(0);
  if (value.kind === "datum") return datum([...make(rowsOf(value, call.pathOf(0)))].map((row) => row.datum));
  const source = rows(call);
  return { kind: "stream", rows: () => make(source), ...(value.kind === "table" ? { of: value } : {}) };
}

function mapped(call: Call, apply: (fn: (args: readonly Datum[]) => Value, row: Datum) => Datum): Value {
  const fn = call.callable(1);
  const of = call.value(0);
  if (of.kind === "feed" && fn.kind === "function") {
    const make = (item: Datum): Datum => apply((args) => fn.call(args), item);
    return { ...of, made: [...of.made, make] };
  }
  return derived(call, function* (rows) {
    for (const row of rows) yield { datum: fn.kind === "like" ? fn.datum : apply((args) => fn.call(args), row.datum) };
  });
}

function filter(call: Call): Value {
  const predicate = call.callable(1);
  return derived(call, function* (rows) {
    for (const row of rows) if (passes(row.datum)) yield row;
  });

  function passes(row: Datum): boolean {
    if (predicate.kind === "like") return isLike(row, predicate.datum);
    try {
      return isTrue(toDatum(predicate.call([row]), call.path));
    } catch (thrown) {
      if (!(thrown instanceof Failure) || thrown.code !== 3_100_000) throw thrown;
      return isTrue(onMissing(call, thrown));
    }
  }
}

/** `filter`'s `default`: false, true, or `r.error()`. */
function onMissing(call: Call, thrown: Failure): Datum {
  try {
    return call.option("default") ?? false;
  } catch {
    throw thrown;
  }
}

function isLike(row: Datum, wanted: Datum): boolean {
  if (!isObject(row) || typeName(wanted) !== "OBJECT") return compare(row, wanted) === 0;
  return Object.entries(wanted as DatumObject).every(([name, value]) => name in row && isLike(row[name]!, value));
}

function onObjects(call: Call, change: (row: DatumObject) => Datum): Value {
  const value = call.value(0);
  if (value.kind === "selection" || (value.kind === "datum" && isObject(value.datum))) {
    return datum(change(call.datum(0) as DatumObject));
  }
  return chosen(call, () => true, change);
}

function chosen(call: Call, holds: (row: DatumObject) => boolean, change: (row: DatumObject) => Datum): Value {
  const value = derived(call, function* (rows) {
    for (const { datum } of rows) if (holds(datum as DatumObject)) yield { datum: change(datum as DatumObject) };
  });
  return value;
}

function pluck(row: DatumObject, paths: readonly Datum[]): DatumObject {
  const kept: Record<string, Datum> = {};
  for (const path of paths) {
    if (typeof path === "string") {
      if (path in row) kept[path] = row[path]!;
      continue;
    }
    for (const [name, inside] of Object.entries(path as DatumObject)) {
      if (inside === true && name in row) kept[name] = row[name]!;
      else if (isObject(row[name] ?? null)) kept[name] = pluck(row[name] as DatumObject, [inside]);
    }
  }
  return kept;
}

function without(row: DatumObject, paths: readonly Datum[]): DatumObject {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !paths.includes(name)));
}

function hasFields(row: Datum, names: readonly string[]): boolean {
  return isObject(row) && names.every((name) => (row[name] ?? null) !== null);
}

function hasFieldsOf(call: Call): Value {
  const names = call.data(1) as string[];
  const value = call.value(0);
  if (value.kind === "datum" && isObject(value.datum)) return datum(hasFields(value.datum, names));
  return derived(call, function* (rows) {
    for (const row of rows) if (hasFields(row.datum, names)) yield row;
  });
}

function bracket(call: Call): Value {
  const value = call.value(0);
  const sequence = value.kind === "table" || value.kind === "stream";
  const key = call.datum(1);
  if (sequence || (value.kind === "datum" && Array.isArray(value.datum))) {
    if (typeof key === "number") return datum([...rows(call)][key]?.datum ?? null);
    return derived(call, function* (rows) {
      for (const row of rows)
        if (isObject(row.datum) && (key as string) in row.datum) yield { datum: row.datum[key as string]! };
    });
  }
  return datum(fieldOf(call.datum(0), asText(key, call.pathOf(1)), call.path));
}

function part(call: Call, from: number, most: number): Value {
  return derived(call, function* (rows) {
    if (most === 0) return;
    let index = 0;
    for (const row of rows) {
      if (index++ < from) continue;
      yield row;
      if (index - from >= most) return;
    }
  });
}

function count(call: Call): Value {
  const value = call.value(0);
  if (value.kind === "datum" && typeof value.datum === "string") return datum([...value.datum].length);
  if (value.kind === "table") demand(call.context.user, "read", value.database, value.table, call.path);
  let rowCount = 0;
  for (const _row of rowsOf(value, call.pathOf(0))) rowCount++;
  return datum(rowCount);
}

function union(call: Call): Value {
  const values = Array.from({ length: call.count }, (_, index) => call.value(index));
  return {
    kind: "stream",
    *rows() {
      for (const [index, value] of values.entries()) yield* rowsOf(value, call.pathOf(index));
    },
  };
}

function coerce(call: Call): Value {
  const type = asText(call.datum(1), call.pathOf(1)).toLowerCase();
  if (type === "array") return datum(allData(call));
  if (type === "string") return datum(String(call.datum(0)));
  if (type === "number") return datum(Number(call.datum(0)));
  throw fail("logic", `Cannot coerce to ${type}.`, call.path);
}

/** Of a field, without the rows that lack it. */
function fieldValues(call: Call): Datum[] {
  const data = allData(call);
  if (call.count < 2) return data;
  const name = asText(call.datum(1), call.pathOf(1));
  return data.flatMap((row) => (isObject(row) && name in row ? [row[name]!] : []));
}

function sum(call: Call): Value {
  return datum(fieldValues(call).reduce((total: number, value) => total + asNumber(value, call.path), 0));
}

function extreme(call: Call, which: "min" | "max"): Value {
  const name =
    call.count > 1 ? asText(call.datum(1), call.pathOf(1)) : ((call.option("index") as string | undefined) ?? null);
  let best: Datum | undefined;
  const valueOf = (row: Datum): Datum => (name === null ? row : (row as DatumObject)[name]!);
  for (const { datum: row } of rows(call)) {
    if (name !== null && ((row as DatumObject)[name] ?? null) === null) continue;
    const order = best === undefined ? 0 : compare(valueOf(row), valueOf(best));
    if (best === undefined || (which === "max" ? order > 0 : order < 0)) best = row;
  }
  if (best !== undefined) return datum(best);
  throw fail(
    "nonexistence",
    `Cannot take the ${which} of an empty stream.  (If you passed \`${which}\` a field name, it may be that no elements of the stream had that field.)`,
    call.path,
  );
}
