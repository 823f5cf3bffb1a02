import { termNumbers as T } from "../../../src/wire/reql/terms.ts";
import { compare, type Datum, isObject, isTime, pretty, time, typeName } from "./datum.ts";
import { type Call, isTrue, type TermRule } from "./call.ts";
import { Failure, fail, type Path } from "./failure.ts";
import { asNumber, asText, datum, highest, lowest, type Value } from "./values.ts";

/** Terms that make values of values. */
export const valueTerms: Readonly<Record<number, TermRule>> = {
  [T.MAKE_ARRAY]: { takes: [0, Infinity], run: (call) => datum(call.data(0)) },
  [T.ARGS]: { takes: [1, 1], run: (call) => call.value(0) },
  [T.VAR]: { takes: [1, 1], run: (call) => datum(call.variable(call.raw(0) as number)) },
  [T.FUNC]: { takes: [2, 2], run: (call) => call.function() },
  [T.ERROR]: {
    takes: [0, 1],
    run: (call) => {
      throw fail("user", call.count === 0 ? "" : asText(call.datum(0), call.pathOf(0)), call.path);
    },
  },
  [T.MINVAL]: { takes: [0, 0], run: () => ({ kind: "bound", bound: lowest }) },
  [T.MAXVAL]: { takes: [0, 0], run: () => ({ kind: "bound", bound: highest }) },
  [T.ASC]: { takes: [1, 1], run: (call) => ({ kind: "direction", value: call.value(0), descending: false }) },
  [T.DESC]: { takes: [1, 1], run: (call) => ({ kind: "direction", value: call.value(0), descending: true }) },

  [T.EQ]: comparison((order) => order === 0),
  [T.NE]: comparison((order) => order !== 0),
  [T.LT]: comparison((order) => order < 0),
  [T.LE]: comparison((order) => order <= 0),
  [T.GT]: comparison((order) => order > 0),
  [T.GE]: comparison((order) => order >= 0),
  [T.NOT]: { takes: [1, 1], run: (call) => datum(!isTrue(call.datum(0))) },
  [T.AND]: { takes: [0, Infinity], run: (call) => firstThat(call, (value) => !isTrue(value), true) },
  [T.OR]: { takes: [0, Infinity], run: (call) => firstThat(call, isTrue, false) },
  [T.BRANCH]: {
    takes: [3, Infinity],
    run: (call) => {
      let index = 0;
      for (; index + 1 < call.count; index += 2) if (isTrue(call.datum(index))) return call.value(index + 1);
      return call.value(index);
    },
  },
  [T.DEFAULT]: { takes: [2, 2], run: orDefault },

  [T.ADD]: { takes: [1, Infinity], run: add },
  [T.SUB]: arithmetic((a, b) => a - b),
  [T.MUL]: arithmetic((a, b) => a * b),
  [T.DIV]: arithmetic((a, b, path) => {
    if (b === 0) throw fail("logic", "Cannot divide by zero.", path);
    return a / b;
  }),
  [T.MOD]: arithmetic((a, b) => a % b),

  [T.TYPE_OF]: { takes: [1, 1], run: (call) => datum(valueType(call.value(0), call)) },
  [T.MATCH]: { takes: [2, 2], run: match },
  [T.NOW]: { takes: [0, 0], run: (call) => datum(time(call.context.now)) },
  [T.EPOCH_TIME]: { takes: [1, 1], run: (call) => datum(time(Math.round(asNumber(call.datum(0), call.path) * 1_000))) },
  [T.TO_EPOCH_TIME]: {
    takes: [1, 1],
    run: (call) => {
      const value = call.datum(0);
      if (isTime(value)) return datum(value.epoch_time);
      throw fail("logic", `Not a TIME pseudotype: \`${pretty(value)}\`.`, call.path);
    },
  },
  [T.POINT]: { takes: [2, 2], run: (call) => geometry("Point", call.data(0)) },
  [T.LINE]: { takes: [2, Infinity], run: (call) => geometry("LineString", call.data(0)) },
  [T.POLYGON]: {
    takes: [3, Infinity],
    run: (call) => {
      const corners = call.data(0);
      return geometry("Polygon", [[...corners, corners[0]!]]);
    },
  },
};

function comparison(holds: (order: number) => boolean): TermRule {
  return {
    takes: [2, Infinity],
    run: (call) => {
      const data = call.data(0);
      return datum(data.slice(1).every((value, index) => holds(compare(data[index]!, value))));
    },
  };
}

function firstThat(call: Call, ends: (value: Datum) => boolean, otherwise: Datum): Value {
  let last: Datum = otherwise;
  for (let index = 0; index < call.count; index++) {
    last = call.datum(index);
    if (ends(last)) return datum(last);
  }
  return datum(last);
}

function orDefault(call: Call): Value {
  try {
    const value = call.datum(0);
    return value === null ? call.value(1) : datum(value);
  } catch (thrown) {
    if (thrown instanceof Failure && thrown.code === 3_100_000) return call.value(1);
    throw thrown;
  }
}

function add(call: Call): Value {
  const [first, ...rest] = call.data(0);
  const type = typeName(first!);
  return datum(
    rest.reduce((sum: Datum, value) => {
      if (isTime(sum)) return { ...sum, epoch_time: sum.epoch_time + asNumber(value, call.path) };
      if (typeName(value) !== type)
        throw fail("logic", `Expected type ${type} but found ${typeName(value)}.`, call.path);
      return typeof sum === "string" ? sum + (value as string) : asNumber(sum, call.path) + asNumber(value, call.path);
    }, first!),
  );
}

function arithmetic(operate: (a: number, b: number, path: Path) => number): TermRule {
  return {
    takes: [1, Infinity],
    run: (call) => {
      const [first, ...rest] = call.data(0);
      // A time less a number is a time.
      if (isTime(first!)) {
        return datum({ ...first, epoch_time: operate(first.epoch_time, asNumber(rest[0]!, call.path), call.path) });
      }
      return datum(
        rest.reduce(
          (sum: number, value) => operate(sum, asNumber(value, call.path), call.path),
          asNumber(first!, call.path),
        ),
      );
    },
  };
}

function valueType(value: Value, call: Call): string {
  switch (value.kind) {
    case "datum":
      return typeName(value.datum);
    case "selection":
      return typeName(call.datum(0)) === "NULL" ? "NULL" : "SELECTION<OBJECT>";
    case "table":
      return value.slice === null ? "TABLE" : "TABLE_SLICE";
    case "database":
      return "DB";
    case "function":
      return "FUNCTION";
    default:
      return value.kind === "stream" ? "STREAM" : value.kind.toUpperCase();
  }
}

/** RE2 has no look-around and no back references; what we use of it, JavaScript has too. */
function match(call: Call): Value {
  const text = asText(call.datum(0), call.pathOf(0));
  const found = new RegExp(asText(call.datum(1), call.pathOf(1)), "u").exec(text);
  if (found === null) return datum(null);
  const groups = found.slice(1).map((group): Datum => (group === undefined ? null : { str: group }));
  return datum({ str: found[0], start: found.index, end: found.index + found[0].length, groups });
}

function geometry(type: string, coordinates: Datum): Value {
  return datum({ $reql_type$: "GEOMETRY", coordinates, type });
}

/** The field of an object, or an error as the server words it. */
export function fieldOf(value: Datum, name: string, path: Path): Datum {
  if (!isObject(value)) {
    throw value === null
      ? fail("nonexistence", `Cannot perform bracket on a non-object non-sequence \`null\`.`, path)
      : fail("logic", `Cannot perform bracket on a non-object non-sequence \`${pretty(value)}\`.`, path);
  }
  if (!(name in value)) throw fail("nonexistence", `No attribute \`${name}\` in object:\n${pretty(value)}`, path);
  return value[name]!;
}
