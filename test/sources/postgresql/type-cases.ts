import type { Cell } from "../../../src/toolkit/vectors.ts";

/** SQL literals of one type, what they are here, and the values that they become; NULL is tried with each. */
export interface TypeCase {
  readonly native: string;
  readonly type: string;
  readonly values: readonly (readonly [literal: string, value: Cell])[];
}

const day = 86_400_000_000n;
const infinity64 = 2n ** 63n - 1n;
export const bytes = (text: string): Cell => Uint8Array.from(Buffer.from(text, "hex"));
export const micros = (iso: string, fraction = 0n): bigint => BigInt(Date.parse(iso)) * 1000n + fraction;
const nines = "9".repeat(38);

/** Every type of PostgreSQL 15 that a column can have, and what it becomes. */
export const typeCases: readonly TypeCase[] = [
  {
    native: "boolean",
    type: "BOOLEAN",
    values: [
      ["true", true],
      ["false", false],
    ],
  },
  {
    native: "smallint",
    type: "SHORT",
    values: [
      ["-32768", -32_768],
      ["32767", 32_767],
      ["0", 0],
    ],
  },
  {
    native: "integer",
    type: "INT",
    values: [
      ["-2147483648", -2_147_483_648],
      ["2147483647", 2_147_483_647],
    ],
  },
  {
    native: "bigint",
    type: "LONG",
    values: [
      ["-9223372036854775808", -(2n ** 63n)],
      ["9223372036854775807", infinity64],
      ["-1", -1n],
      ["4294967296", 2n ** 32n],
    ],
  },
  {
    native: "oid",
    type: "LONG",
    values: [
      ["0", 0n],
      ["4294967295", 4_294_967_295n],
    ],
  },
  {
    native: "real",
    type: "FLOAT",
    values: [
      ["0.1", Math.fround(0.1)],
      ["NaN", NaN],
      ["Infinity", Infinity],
      ["-Infinity", -Infinity],
      ["1e-45", 1.401298464324817e-45],
      ["-0", -0],
    ],
  },
  {
    native: "double precision",
    type: "DOUBLE",
    values: [
      ["0.1", 0.1],
      ["NaN", NaN],
      ["Infinity", Infinity],
      ["-Infinity", -Infinity],
      ["5e-324", 5e-324],
      ["1.7976931348623157e308", Number.MAX_VALUE],
      ["-0", -0],
    ],
  },
  {
    native: "numeric(10,2)",
    type: "DECIMAL(10,2)",
    values: [
      ["0", 0n],
      ["0.01", 1n],
      ["-0.01", -1n],
      ["99999999.99", 9_999_999_999n],
      ["-99999999.99", -9_999_999_999n],
      ["10000", 1_000_000n],
      ["1000.5", 100_050n],
    ],
  },
  {
    native: "numeric(18,0)",
    type: "DECIMAL(18,0)",
    values: [
      ["999999999999999999", 10n ** 18n - 1n],
      ["-1", -1n],
      ["-4294967296", -(2n ** 32n)],
    ],
  },
  {
    native: "numeric(18,18)",
    type: "DECIMAL(18,18)",
    values: [
      ["0.000000000000000001", 1n],
      ["-0.999999999999999999", 1n - 10n ** 18n],
    ],
  },
  {
    native: "numeric(38,0)",
    type: "DECIMAL(38,0)",
    values: [
      [nines, BigInt(nines)],
      [`-${nines}`, -BigInt(nines)],
      ["0", 0n],
      ["18446744073709551616", 2n ** 64n],
      ["-18446744073709551616", -(2n ** 64n)],
    ],
  },
  {
    native: "numeric(38,10)",
    type: "DECIMAL(38,10)",
    values: [
      [`${"9".repeat(28)}.${"9".repeat(10)}`, BigInt(nines)],
      ["0.0000000001", 1n],
      ["-12345.6789", -123_456_789_000_000n],
    ],
  },
  { native: "numeric(38,38)", type: "DECIMAL(38,38)", values: [[`0.${nines}`, BigInt(nines)]] },
  {
    native: "numeric(5,-2)",
    type: "DECIMAL(7,0)",
    values: [
      ["1234567", 1_234_600n],
      ["-49", 0n],
    ],
  },
  { native: "numeric(3,5)", type: "DECIMAL(5,5)", values: [["0.00123", 123n]] },
  { native: "numeric(39,0)", type: "STRING", values: [["1" + "0".repeat(38), "1" + "0".repeat(38)]] },
  {
    native: "numeric",
    type: "STRING",
    values: [
      ["1.2300", "1.2300"],
      ["NaN", "NaN"],
      ["Infinity", "Infinity"],
      ["1e50", "1" + "0".repeat(50)],
    ],
  },
  { native: "money", type: "STRING", values: [["12.34", "$12.34"]] },
  { native: "char(5)", type: "STRING", values: [["ab", "ab   "]] },
  {
    native: "varchar(10)",
    type: "STRING",
    values: [
      ["ab", "ab"],
      ["", ""],
    ],
  },
  {
    native: "text",
    type: "STRING",
    values: [
      ["", ""],
      ["é😀\u0001", "é😀\u0001"],
      ["x".repeat(100_000), "x".repeat(100_000)],
    ],
  },
  { native: "name", type: "STRING", values: [["a name", "a name"]] },
  { native: '"char"', type: "STRING", values: [["x", "x"]] },
  {
    native: "bytea",
    type: "BINARY",
    values: [
      ["\\x", bytes("")],
      ["\\x00ff80", bytes("00ff80")],
    ],
  },
  {
    native: "date",
    type: "NAIVE_DATE",
    values: [
      ["2024-02-29", 19_782],
      ["1970-01-01", 0],
      ["1969-12-31", -1],
      ["infinity", 2 ** 31 - 1],
      ["-infinity", 1 - 2 ** 31],
      ["4713-01-01 BC", -2_440_550],
      ["5874897-12-31", 2_145_042_905],
      ["0001-12-31 BC", -719_163],
    ],
  },
  {
    native: "time",
    type: "NAIVE_TIME",
    values: [
      ["00:00", 0n],
      ["23:59:59.999999", day - 1n],
      ["24:00", day],
    ],
  },
  {
    native: "timestamp",
    type: "NAIVE_DATETIME",
    values: [
      ["2024-02-29 12:34:56.789012", micros("2024-02-29T12:34:56Z", 789_012n)],
      ["infinity", infinity64],
      ["-infinity", -infinity64],
      ["0001-01-01 00:00:00 BC", -62_167_219_200_000_000n],
      ["4713-01-01 BC", -2_440_550n * day],
      ["294246-12-31 23:59:59.999999", 9_223_371_244_799_999_999n],
      ["1999-12-31 23:59:59.999999", micros("2000-01-01T00:00:00Z") - 1n],
      ["1969-12-31 23:59:59.999999", -1n],
    ],
  },
  {
    native: "timestamptz",
    type: "UTC_DATETIME",
    values: [
      ["2024-06-01 12:00:00+02", micros("2024-06-01T10:00:00Z")],
      ["infinity", infinity64],
      ["-infinity", -infinity64],
      ["0044-03-15 00:00+00 BC", -63_517_824_000_000_000n],
    ],
  },
  { native: "timetz", type: "STRING", values: [["12:34:56+02", "12:34:56+02"]] },
  {
    native: "interval",
    type: "STRING",
    values: [
      ["1 year 2 months 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S"],
      ["-1 day", "P-1D"],
    ],
  },
  {
    native: "uuid",
    type: "UUID",
    values: [["00112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff"]],
  },
  {
    native: "json",
    type: "JSON",
    values: [
      ['{"b" : 1, "a":  [1.10]}', '{"b" : 1, "a":  [1.10]}'],
      ["null", "null"],
    ],
  },
  {
    native: "jsonb",
    type: "JSON",
    values: [
      ['{"b":1,"a":[1.10]}', '{"a": [1.10], "b": 1}'],
      ['""', '""'],
    ],
  },
  {
    native: "inet",
    type: "STRING",
    values: [
      ["10.1.2.3/8", "10.1.2.3/8"],
      ["10.1.2.3", "10.1.2.3"],
      ["::1", "::1"],
    ],
  },
  { native: "cidr", type: "STRING", values: [["10.0.0.0/8", "10.0.0.0/8"]] },
  { native: "macaddr", type: "STRING", values: [["08:00:2b:01:02:03", "08:00:2b:01:02:03"]] },
  { native: "bit(3)", type: "STRING", values: [["101", "101"]] },
  {
    native: "varbit",
    type: "STRING",
    values: [
      ["10101", "10101"],
      ["", ""],
    ],
  },
  {
    native: "int4range",
    type: "STRING",
    values: [
      ["[1,5]", "[1,6)"],
      ["empty", "empty"],
    ],
  },
  { native: "tstzrange", type: "STRING", values: [["[2024-01-01,)", '["2024-01-01 00:00:00+00",)']] },
  { native: "int4multirange", type: "STRING", values: [["{[1,2],[5,6]}", "{[1,3),[5,7)}"]] },
  { native: "tsvector", type: "STRING", values: [["a:1 b:2", "'a':1 'b':2"]] },
  { native: "tsquery", type: "STRING", values: [["a & b", "'a' & 'b'"]] },
  { native: "point", type: "STRING", values: [["(1,2.5)", "(1,2.5)"]] },
  { native: "pg_lsn", type: "STRING", values: [["16/B374D848", "16/B374D848"]] },
  { native: "regclass", type: "STRING", values: [["pg_class", "pg_class"]] },
  { native: "jsonpath", type: "STRING", values: [["$.a", '$."a"']] },
  {
    native: "integer[]",
    type: "JSON",
    values: [
      ["{1,NULL,3}", "[1,null,3]"],
      ["{}", "[]"],
      ["{{1,2},{3,4}}", "[[1,2],[3,4]]"],
      ["[3:4]={5,6}", '"[3:4]={5,6}"'],
      ["[1:1][0:1]={{1,2}}", '"[1:1][0:1]={{1,2}}"'],
    ],
  },
  {
    native: "text[]",
    type: "JSON",
    values: [['{"a \\"quoted\\" one",NULL,"null"}', '["a \\"quoted\\" one",null,"null"]']],
  },
  {
    native: "numeric[]",
    type: "JSON",
    values: [["{1.10,12345678901234567890.123456789}", "[1.10,12345678901234567890.123456789]"]],
  },
  { native: "timestamptz[]", type: "JSON", values: [["{2024-01-01 00:00+00}", '["2024-01-01T00:00:00+00:00"]']] },
  { native: "double precision[]", type: "JSON", values: [["{NaN,1.5}", '["NaN",1.5]']] },
  { native: "mood", type: "STRING", values: [["so so", "so so"]] },
  { native: "place", type: "JSON", values: [['("a, b",7)', '{"street":"a, b","number":7}']] },
  { native: "positive", type: "DECIMAL(12,3)", values: [["1.5", 1_500n]] },
  { native: "words", type: "STRING", values: [["hello", "hello"]] },
  { native: "citext", type: "STRING", values: [["MiXed", "MiXed"]] },
  { native: "hstore", type: "JSON", values: [["a=>1, b=>NULL", '{"a": "1", "b": null}']] },
];

/** Makes the types that are not there by themselves. */
export const typeCreation = `
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
CREATE TYPE place AS (street text, number int);
CREATE DOMAIN positive AS numeric(12,3) CHECK (value > 0);
CREATE DOMAIN word AS text; CREATE DOMAIN words AS word NOT NULL DEFAULT '-';`;

/** Values of every type that a column can have and that is no array, by the names that the server gives the types. */
export const samples: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    typeCases
      .filter(({ native }) => /^[a-z ]+$/.test(native) && !/^(char|varchar)$/.test(native))
      .map(({ native, values }) => [native, values.map(([literal]) => literal)]),
  ),
  '"char"': ["x", ""],
  aclitem: ["postgres=r/postgres"],
  bit: ["1"],
  "bit varying": ["10", ""],
  box: ["(1,2),(0,0.1)"],
  character: ["a"],
  "character varying": ["ab ", ""],
  cid: ["7"],
  circle: ["<(1,2),3>"],
  daterange: ["[2024-01-01,infinity)", "empty"],
  datemultirange: ["{[2024-01-01,2024-02-01)}"],
  inet: ["10.1.2.3", "10.1.2.3/8", "::1", "fe80::/10"],
  cidr: ["10.1.2.3", "10.0.0.0/8"],
  int2vector: ["1 2"],
  int4range: ["[1,5]", "empty", "(,)"],
  int4multirange: ["{[1,2],[5,6]}", "{}"],
  int8range: ["[1,5]"],
  int8multirange: ["{[1,2]}"],
  interval: ["1 year 2 months 3 days 04:05:06.7", "-1 day", "00:00:00", "1 mon -1 day"],
  line: ["{1,-1,0.1}"],
  lseg: ["[(1,2),(3,0.1)]"],
  macaddr8: ["08:00:2b:01:02:03:04:05"],
  money: ["12.34", "-1234567.89"],
  mood: ["so so"],
  numrange: ["[1.50,2)"],
  nummultirange: ["{[1.50,2)}"],
  oidvector: ["1 2"],
  path: ["((1,2),(3,4))", "[(1,2),(3,4)]"],
  point: ["(1,2.5)", "(0.1,1e300)"],
  polygon: ["((1,2),(3,4))"],
  refcursor: ["c"],
  regclass: ["pg_class", "0"],
  regcollation: ['"C"'],
  regconfig: ["english"],
  regdictionary: ["simple"],
  regnamespace: ["pg_catalog"],
  regoper: ["pg_catalog.||/"],
  regoperator: ["+(integer,integer)"],
  regproc: ["pg_catalog.now"],
  regprocedure: ["sum(integer)"],
  regrole: ["postgres"],
  regtype: ["integer", "integer[]"],
  tid: ["(1,2)"],
  timetz: ["24:00:00-15:59", "12:34:56.7+02"],
  "time with time zone": ["24:00:00-15:59", "12:34:56.7+02"],
  "time without time zone": ["24:00"],
  "timestamp with time zone": ["infinity", "0044-03-15 00:00+00 BC"],
  "timestamp without time zone": ["-infinity", "0001-01-01 00:00:00 BC"],
  tsrange: ['["2024-01-01 00:00:00",infinity)'],
  tsmultirange: ['{["2024-01-01 00:00:00","2024-01-02 00:00:00")}'],
  tstzrange: ["[2024-01-01,)", "(-infinity,2024-01-01]"],
  tstzmultirange: ['{["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")}'],
  txid_snapshot: ["10:20:10,14"],
  word: ["a"],
  words: ["a"],
  xid: ["7"],
  xid8: ["7"],
  xml: ['<?xml version="1.0"?><a/>'],
  ghstore: [],
};
