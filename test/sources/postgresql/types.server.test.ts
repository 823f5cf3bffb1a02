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
import { bytes, micros, samples, typeCases, typeCreation } from "./type-cases.ts";

async function rejection(promise: Promise<unknown>): Promise<HeadwatersError> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof HeadwatersError)) throw new Error(`no HeadwatersError: ${String(thrown)}`);
  return thrown;
}

await describeWith(startPostgresql, "types of YugabyteDB", (server) => {
  const created = sql(server, typeCreation);
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
    test.each(typeCases)("$native", async ({ native, type, values }) => {
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
      const keys = typeCases.filter(({ native }) => !["json", "xml", "point", "tsquery", "jsonpath"].includes(native));
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

  test("every type of pg_type without a counterpart has the server's own text, by both paths (case 27)", async () => {
    await created;
    const found = await sql(
      server,
      `SELECT t.oid::regtype::text AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname IN ('pg_catalog', 'public') AND t.typtype IN ('b', 'd', 'e', 'r', 'm', 'c') AND t.typcategory <> 'A'
          AND (t.typtype <> 'c' OR t.typname = 'place') AND t.typname NOT LIKE 'pg\\_%' AND t.typname <> 'gtsvector'
        ORDER BY 1`,
    );
    expect(found.map(({ name }) => name!).filter((name) => !(name in samples))).toEqual([]);
    for (const [native, literals] of Object.entries(samples)) {
      const name = await tableWith(native, [...literals, ...(native === "words" ? [] : [null])]);
      await using source = await openSource(server);
      const { kind } = (await tableOf(source, name)).columns[1]!.type;
      const rows = await read(source, name);
      expect(await read(source, name, independent), native).toEqual(rows);
      if (kind !== "STRING") continue;
      // The text protocol calls the output functions itself.
      const client = await session(server);
      await client.query("SET IntervalStyle = iso_8601; SET TimeZone = 'UTC'; SET extra_float_digits = 3");
      const own = await client.query({
        text: `SELECT value FROM ${name} ORDER BY id`,
        types: { getTypeParser: () => (text: string) => text },
      });
      await client.end();
      expect(rows, native).toEqual(own.rows.map((row: { value: string | null }) => row.value));
    }
  });

  test("no function of a user's stands in for an output function (case 27)", async () => {
    await sql(
      server,
      `CREATE TYPE shade AS ENUM ('dark');
        CREATE FUNCTION shout(shade) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''planted''::text';
        CREATE CAST (shade AS text) WITH FUNCTION shout(shade) AS IMPLICIT;
        CREATE FUNCTION concat(shade) RETURNS text LANGUAGE sql AS 'SELECT ''planted''::text'`,
    );
    const name = await tableWith("shade", ["dark"]);
    await using source = await openSource(server);
    expect(await read(source, name)).toEqual(["dark"]);
    expect(await read(source, name, independent)).toEqual(["dark"]);
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
    test("NaN in a numeric makes its column STRING without a setting (case 27)", async () => {
      const name = await tableWith("numeric(10,2)", ["1.50", "NaN", null]);
      for (const how of [fast, independent]) {
        await using source = await openSource(server);
        expect((await rejection(read(source, name, how))).code).toBe("TABLE_CHANGED");
        expect(await read(source, name, how)).toEqual(["1.50", "NaN", null]);
      }
    });

    test("a numeric key that is NaN is refused with a hint that works (case 27)", async () => {
      await created;
      await sql(server, "CREATE TABLE nans (id numeric(10,2) PRIMARY KEY); INSERT INTO nans VALUES ('NaN'), (1)");
      await using source = await openSource(server);
      const error = await rejection(rowsOfPass(source, await passOf(source, await tableOf(source, "nans"))));
      expect(error).toMatchObject({ code: "VALUE_OUT_OF_RANGE", hint: expect.stringContaining("STRING") as string });
      await using told = await openSource(server, {}, { tables: { nans: { types: { id: { kind: "STRING" } } } } });
      const pass = await passOf(told, await tableOf(told, "nans"));
      expect((await rowsOfPass(told, pass)).flat().sort()).toEqual(["1.00", "NaN"]);
    });

    test.each([
      ["timestamp", "294276-12-31 23:59:59", "a timestamp is after"],
      ["timestamptz", "294247-01-10 04:00:54.775807+00", "a timestamp is after"],
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
      ["numeric", "DECIMAL(12,4)", "1.23456", "more than 4 digits after"],
      ["numeric", "DECIMAL(12,4)", "123456789", "more than 8 digits before"],
      ["numeric", "DECIMAL(38,30)", "123456789", "more than 8 digits before"],
      ["numeric", "DECIMAL(38,0)", "1" + "0".repeat(38), "more than 38 digits before"],
      ["numeric", "DECIMAL(38,0)", "0.0001", "more than 0 digits after"],
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
      const error = await rejection(tableOf(source, name));
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

  test("a database that does not know its encoding: text that is not UTF-8 is an error", async () => {
    await sql(server, "CREATE DATABASE bytes_only ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    try {
      const url = new URL(server.connectionString);
      url.pathname = "/bytes_only";
      const ascii = { ...server, database: "bytes_only", connectionString: url.href };
      await sql(
        ascii,
        "CREATE TABLE good (id int PRIMARY KEY, v text); INSERT INTO good VALUES (1, 'é'); CREATE TABLE bad (id int PRIMARY KEY, v text); INSERT INTO bad VALUES (1, E'\\xe9')",
      );
      await using source = await openSource(ascii);
      for (const how of [fast, independent]) {
        expect(await read(source, "good", how)).toEqual(["é"]);
        const error = await rejection(read(source, "bad", how));
        expect(error.code).toBe("VALUE_OUT_OF_RANGE");
        expect(error.message).toContain("a text can't be converted to UTF-8");
        expect(error.hint).toContain("BINARY");
      }
      const tables = { bad: { types: { v: { kind: "BINARY" } } } } as const;
      await using remedied = await openSource(ascii, {}, { tables });
      expect(await read(remedied, "bad")).toEqual([bytes("e9")]);
    } finally {
      await sql(server, "DROP DATABASE bytes_only WITH (FORCE)");
    }
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
