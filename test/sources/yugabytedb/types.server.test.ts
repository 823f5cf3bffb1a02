import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeadwatersError } from "../../../src/protocol/errors.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { parseType, typeName } from "../../../src/toolkit/types.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { describeWith } from "../../servers/require.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import {
  cellsOfRows,
  collect,
  fast,
  independent,
  operationsOf,
  openSource,
  passOf,
  rowsOfPass,
  session,
  sql,
  tableOf,
} from "./harness.ts";

/** SQL literals of one type, what they are here, and the values that they become; NULL is tried with each. */
interface Case {
  readonly native: string;
  readonly type: string;
  readonly values: readonly (readonly [literal: string, value: Cell])[];
}

const day = 86_400_000_000n;
const infinity64 = 2n ** 63n - 1n;
const bytes = (text: string): Cell => Uint8Array.from(Buffer.from(text, "hex"));
const micros = (iso: string, fraction = 0n): bigint => BigInt(Date.parse(iso)) * 1000n + fraction;
const nines = "9".repeat(38);

const cases: readonly Case[] = [
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
    type: "STRING",
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
      ["::1", "::1/128"],
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

const creation = `
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
CREATE TYPE place AS (street text, number int);
CREATE DOMAIN positive AS numeric(12,3) CHECK (value > 0);
CREATE DOMAIN word AS text; CREATE DOMAIN words AS word NOT NULL DEFAULT '-';`;

async function rejection(promise: Promise<unknown>): Promise<HeadwatersError> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof HeadwatersError)) throw new Error(`no HeadwatersError: ${String(thrown)}`);
  return thrown;
}

await describeWith(startPostgresql, "types of YugabyteDB", (server) => {
  const created = sql(server, creation);
  let tables = 0;

  /** A table of one column beside its key, with these literals. */
  async function tableWith(native: string, literals: readonly (string | null)[]): Promise<string> {
    await created;
    const name = `t${++tables}`;
    const client = await session(server);
    try {
      await client.query(`CREATE TABLE ${name} (id int PRIMARY KEY, value ${native})`);
      for (const [id, literal] of literals.entries()) {
        await client.query(`INSERT INTO ${name} VALUES ($1, $2)`, [id, literal]);
      }
    } finally {
      await client.end();
    }
    return name;
  }

  async function read(source: Source, name: string, how = fast): Promise<Cell[]> {
    const pass = await passOf(source, await tableOf(source, name));
    return (await rowsOfPass(source, pass, how)).map((row) => row[1]!);
  }

  describe("one by one, by both paths, and by key", () => {
    test.each(cases)("$native", async ({ native, type, values }) => {
      const nullable = native !== "words";
      const name = await tableWith(native, [...values.map(([literal]) => literal), ...(nullable ? [null] : [])]);
      const expected = [...values.map(([, value]) => value), ...(nullable ? [null] : [])];
      await using source = await openSource(server);
      const table = await tableOf(source, name);
      expect(typeName(table.columns[1]!.type)).toBe(type);
      expect(await read(source, name)).toEqual(expected);
      expect(await read(source, name, independent)).toEqual(expected);
      expect(await read(source, name, { ...fast, batchBytes: 1 })).toEqual(expected);
    });

    test("as keys: each is found again by its value", async () => {
      const keys = cases.filter(({ native }) => !["json", "xml", "point", "tsquery", "jsonpath"].includes(native));
      for (const { native, values } of keys) {
        await created;
        const name = `k${++tables}`;
        await sql(server, `CREATE TABLE ${name} (value ${native} PRIMARY KEY)`);
        const client = await session(server);
        // A key can't be longer than a third of a page, and float keys hold no two zeros.
        for (const [literal] of values.filter(([text]) => text.length < 1_000)) {
          await client.query(`INSERT INTO ${name} VALUES ($1) ON CONFLICT DO NOTHING`, [literal]);
        }
        await client.end();
        await using source = await openSource(server);
        const table = await tableOf(source, name);
        const pass = await passOf(source, table);
        const operations = [...(await operationsOf(source, pass, { ...fast, batchBytes: 1 })).values()].flat();
        expect(operations.length, native).toBeGreaterThan(0);
        for (const operation of operations) {
          if (!("rows" in operation)) continue;
          const found = await collect(source.lookup(table, operation.rows, fast));
          expect(found.flatMap(cellsOfRows), native).toEqual(cellsOfRows(operation.rows));
        }
      }
    });
  });

  test("xml stays as it was written", async () => {
    const [built] = await sql(server, "SELECT count(*) AS n FROM pg_proc WHERE proname = 'xmlcomment'");
    expect(built).toBeDefined();
    await using source = await openSource(server);
    await created;
    await sql(server, "CREATE TABLE letters (id int PRIMARY KEY, value xml)");
    expect((await tableOf(source, "letters")).columns[1]!.type.kind).toBe("XML");
  });

  describe("out of range", () => {
    test.each([
      ["timestamp", "294276-12-31 23:59:59", "a timestamp lies after"],
      ["timestamptz", "294247-01-10 04:00:54.775807+00", "a timestamp lies after"],
      ["numeric(10,2)", "NaN", "a number is NaN"],
    ])("%s %s", async (native, literal, message) => {
      const name = await tableWith(native, [literal]);
      await using source = await openSource(server);
      for (const how of [fast, independent]) {
        const error = await rejection(read(source, name, how));
        expect(error.code).toBe("VALUE_OUT_OF_RANGE");
        expect(error.message).toContain(`table "${name}", column "value": ${message}`);
        expect(error.hint).toContain("STRING");
      }
      await using remedied = await openSource(
        server,
        {},
        { tables: { [name]: { types: { value: { kind: "STRING" } } } } },
      );
      expect(await read(remedied, name)).toHaveLength(1);
    });
  });

  describe("types that the user chose", () => {
    test.each([
      ["numeric", "DECIMAL(12,4)", "1.25", 12_500n],
      ["text", "LONG", "42", 42n],
      ["text", "DECIMAL(38,2)", "-1.5", -150n],
      ["integer", "STRING", "7", "7"],
      ["text", "BINARY", "é", bytes("c3a9")],
      ["text", "JSON", '{"a":1}', '{"a":1}'],
      ["integer", "JSON", "7", "7"],
      ["text", "UTC_DATETIME", "2024-01-01 02:00+02", micros("2024-01-01T00:00:00Z")],
      ["timestamp", "NAIVE_DATE", "1970-01-02 13:00", 1],
      ["bigint", "DOUBLE", "5", 5],
      ["integer", "BOOLEAN", "1", true],
    ])("%s as %s", async (native, wanted, literal, value) => {
      const name = await tableWith(native, [literal, null]);
      const types = { value: parseType(wanted)! };
      await using source = await openSource(server, {}, { tables: { [name]: { types } } });
      expect((await tableOf(source, name)).columns[1]!.type).toEqual(types.value);
      expect(await read(source, name)).toEqual([value, null]);
      expect(await read(source, name, independent)).toEqual([value, null]);
    });

    test.each([
      ["numeric", "DECIMAL(12,4)", "1.23456", "more than 4 digits behind"],
      ["numeric", "DECIMAL(12,4)", "123456789", "more than 8 digits before"],
      ["numeric", "DECIMAL(38,30)", "123456789", "more than 8 digits before"],
      ["numeric", "DECIMAL(38,0)", "1" + "0".repeat(38), "more than 38 digits before"],
      ["numeric", "DECIMAL(38,0)", "0.0001", "more than 0 digits behind"],
      ["text", "LONG", "forty", "invalid input syntax"],
      ["bigint", "SHORT", "70000", "out of range"],
    ])("%s as %s does not hold %s", async (native, wanted, literal, message) => {
      const name = await tableWith(native, [literal]);
      await using source = await openSource(
        server,
        {},
        { tables: { [name]: { types: { value: parseType(wanted)! } } } },
      );
      for (const how of [fast, independent]) {
        const error = await rejection(read(source, name, how));
        expect(error.code).toBe("VALUE_OUT_OF_RANGE");
        expect(error.message).toContain(message);
      }
    });

    test("a column that is not there", async () => {
      const name = await tableWith("text", []);
      await using source = await openSource(server, {}, { tables: { [name]: { types: { valve: { kind: "LONG" } } } } });
      const error = await rejection(source.discover(fast.signal));
      expect(error.code).toBe("CONFIGURATION_INVALID");
      expect(error.hint).toBe('Did you mean "value"?');
    });
  });

  describe("types of the published example", () => {
    test.each([
      ["timestamptz", "2024-01-02 03:04:05.5+00", "2024-01-02T03:04:05.500000+00:00"],
      ["timestamptz", "2024-01-02 03:04:05+02", "2024-01-02T01:04:05+00:00"],
      ["timestamptz", "infinity", "infinity"],
      ["timestamp", "2024-01-02 03:04:05.000001", "2024-01-02T03:04:05.000001"],
      ["timestamp", "0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"],
      ["date", "2024-01-02", "2024-01-02"],
      ["time", "03:04:05.25", "03:04:05.250000"],
      ["time", "03:04:05", "03:04:05"],
      ["numeric(10,2)", "1.25", 1.25],
      ["bytea", "\\x00ff", "\\x00ff"],
      ["boolean", "true", true],
    ])("%s %s", async (native, literal, value) => {
      const name = await tableWith(native, [literal, null]);
      await using source = await openSource(server, {}, { types: "example" });
      expect(await read(source, name)).toEqual([value, null]);
      expect(await read(source, name, independent)).toEqual([value, null]);
    });

    test("a numeric key stays exact", async () => {
      await sql(server, "CREATE TABLE ids (id numeric(20,0) PRIMARY KEY); INSERT INTO ids VALUES (9007199254740993)");
      await using source = await openSource(server, {}, { types: "example" });
      const pass = await passOf(source, await tableOf(source, "ids"));
      expect(await rowsOfPass(source, pass)).toEqual([[9_007_199_254_740_993n]]);
    });
  });

  test("random values of many types are the same by both paths", async () => {
    await created;
    const name = `t${++tables}`;
    await sql(
      server,
      `CREATE TABLE ${name} (id int PRIMARY KEY, a numeric(15,3), b numeric(17,5), c numeric(30,9), d numeric(38,0),
         e double precision, f real, g timestamp, h bigint, i text, j date)`,
    );
    const decimal = (whole: number, scale: number) =>
      fc
        .tuple(
          fc.boolean(),
          fc.bigInt({ min: 0n, max: 10n ** BigInt(whole) - 1n }),
          fc.nat({ max: 10 ** Math.min(scale, 9) - 1 }),
        )
        .map(
          ([minus, before, after]) =>
            `${minus ? "-" : ""}${before}${scale === 0 ? "" : `.${String(after).padStart(Math.min(scale, 9), "0")}`}`,
        );
    const row = fc.tuple(
      decimal(12, 3),
      decimal(12, 5),
      decimal(21, 9),
      decimal(38, 0),
      fc.double({ noDefaultInfinity: true }).map(String),
      fc.float({ noDefaultInfinity: true }).map(String),
      fc
        .date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
        .map((date) => date.toISOString()),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", "")),
      fc
        .date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
        .map((date) => date.toISOString()),
    );
    const rows = fc.sample(row, 400);
    const client = await session(server);
    for (const [id, values] of rows.entries()) {
      await client.query(`INSERT INTO ${name} VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`, [id, ...values]);
    }
    await client.end();
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, name));
    const one = await rowsOfPass(source, pass);
    expect(one).toHaveLength(rows.length);
    expect(await rowsOfPass(source, pass, independent)).toEqual(one);
    for (const [index, values] of rows.entries()) {
      expect(one[index]![8]).toBe(BigInt(values[7]));
      expect(one[index]![9]).toBe(values[8]);
      expect(one[index]![4]).toBe(BigInt(values[3]));
      expect(one[index]![3]).toBe(BigInt(values[2].replace(".", "")));
      expect(one[index]![1]).toBe(BigInt(values[0].replace(".", "")));
    }
  });
});
