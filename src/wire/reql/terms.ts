import type { Json } from "../../protocol/json.ts";

/**
 * The numbers of the ReQL terms that Headwaters or its tests use, from `ql2.proto` of RethinkDB 2.4.
 * https://rethinkdb.com/docs/writing-drivers/ describes how terms are sent.
 */
export const termNumbers = {
  MAKE_ARRAY: 2,
  VAR: 10,
  ERROR: 12,
  DB: 14,
  TABLE: 15,
  GET: 16,
  EQ: 17,
  NE: 18,
  LT: 19,
  LE: 20,
  GT: 21,
  GE: 22,
  NOT: 23,
  ADD: 24,
  SUB: 25,
  MUL: 26,
  DIV: 27,
  MOD: 28,
  GET_FIELD: 31,
  HAS_FIELDS: 32,
  PLUCK: 33,
  WITHOUT: 34,
  MERGE: 35,
  MAP: 38,
  FILTER: 39,
  ORDER_BY: 41,
  COUNT: 43,
  UNION: 44,
  COERCE_TO: 51,
  TYPE_OF: 52,
  UPDATE: 53,
  DELETE: 54,
  REPLACE: 55,
  INSERT: 56,
  DB_CREATE: 57,
  DB_DROP: 58,
  DB_LIST: 59,
  TABLE_CREATE: 60,
  TABLE_DROP: 61,
  TABLE_LIST: 62,
  BRANCH: 65,
  OR: 66,
  AND: 67,
  FUNC: 69,
  SKIP: 70,
  LIMIT: 71,
  ASC: 73,
  DESC: 74,
  INDEX_CREATE: 75,
  INDEX_DROP: 76,
  INDEX_LIST: 77,
  GET_ALL: 78,
  INFO: 79,
  SAMPLE: 81,
  IS_EMPTY: 86,
  DEFAULT: 92,
  WITH_FIELDS: 96,
  MATCH: 97,
  EPOCH_TIME: 101,
  TO_EPOCH_TIME: 102,
  NOW: 103,
  SYNC: 138,
  INDEX_STATUS: 139,
  INDEX_WAIT: 140,
  SUM: 145,
  MIN: 147,
  MAX: 148,
  CHANGES: 152,
  ARGS: 154,
  POINT: 159,
  LINE: 160,
  POLYGON: 161,
  BRACKET: 170,
  CONFIG: 174,
  STATUS: 175,
  RECONFIGURE: 176,
  REBALANCE: 179,
  MINVAL: 180,
  MAXVAL: 181,
  BETWEEN: 182,
  GRANT: 188,
} as const;

export type TermName = keyof typeof termNumbers;

/** A term or a datum as it is sent. Arrays in data are {@link array} terms. */
export type Term = Json;

/** `term("TABLE", [db, "users"], { read_mode: "majority" })` */
export function term(name: TermName, args: readonly Term[] = [], options?: Readonly<Record<string, Term>>): Term {
  const number = termNumbers[name];
  return options === undefined || Object.keys(options).length === 0 ? [number, args] : [number, args, options];
}

/** A datum whose arrays are written as terms: a bare JSON array would be read as a term. */
export function datum(value: Json): Term {
  if (Array.isArray(value)) return term("MAKE_ARRAY", value.map(datum));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, datum(item)]));
}

/** A function of one argument. */
export function lambda(body: (argument: Term) => Term): Term {
  return term("FUNC", [term("MAKE_ARRAY", [1]), body(term("VAR", [1]))]);
}
