import { expect, test } from "vitest";
import { parseType } from "../../../src/toolkit/types.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { cellsOfRows, collect, fast, independent, openSource, operationsOf, passOf, sql, tableOf } from "./harness.ts";

await describeWith(startPostgresql, "keys of PostgreSQL", (server) => {
  test.each([
    ["int_arrays", "int[]", ["{5,6}", "[3:4]={5,6}", "{{5},{6}}", "{}", "{NULL,5}"]],
    ["text_arrays", "text[]", ["{a,NULL}", '{a,"NULL"}', '{"a,\\"b"}', "[0:0]={a}"]],
    ["float_arrays", "float8[]", ["{0.1,NaN}", "{1e+300,-Infinity}"]],
    [
      "moment_arrays",
      "timestamptz[]",
      ['{"2024-05-17 08:00:00.123456+00"}', "{infinity}", '{"0044-03-15 00:00:00+00 BC"}'],
    ],
    ["composites", "pair", ['(1,"a ""b""")', "(,)", "(1,)", '(1,"")']],
    ["composite_arrays", "pair[]", ['{"(1,a)"}', '[2:2]={"(1,a)"}']],
  ])("%s as keys are the server's own text, and found by it (case 8)", async (name, native, values) => {
    await sql(
      server,
      "DO $$ BEGIN CREATE TYPE pair AS (a int, b text); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    );
    await sql(server, `CREATE TABLE ${name} (k ${native} PRIMARY KEY)`);
    for (const value of values) await sql(server, `INSERT INTO ${name} VALUES ('${value}')`);
    await using source = await openSource(server);
    const table = await tableOf(source, name);
    expect(table.columns[0]!.type.kind).toBe("STRING");
    for (const how of [fast, independent]) {
      const operations = [...(await operationsOf(source, await passOf(source, table), how)).values()].flat();
      const keys = operations.flatMap((operation) => ("rows" in operation ? [operation.rows] : []));
      expect(
        keys
          .flatMap(cellsOfRows)
          .map(([key]) => key)
          .sort(),
      ).toEqual([...values].sort());
      for (const rows of keys) {
        const met = (await collect(source.lookup(table, rows, how))).flatMap(cellsOfRows);
        expect(met.sort()).toEqual(cellsOfRows(rows).sort());
      }
    }
  });

  test.each([
    ["timestamptz", "NAIVE_DATE"],
    ["timestamptz", "NAIVE_TIME"],
    ["timestamp", "NAIVE_DATE"],
    ["numeric", "DOUBLE"],
    ["numeric", "LONG"],
    ["numeric(12,2)", "INT"],
    ["bigint", "DOUBLE"],
    ["int", "FLOAT"],
    ["int", "BOOLEAN"],
    ["float8", "FLOAT"],
    ["float8", "DECIMAL(20,4)"],
    ["text", "INT"],
    ["text", "UTC_DATETIME"],
    ["int[]", "JSON"],
  ])("a key that is %s is not read as %s (case 7)", async (native, type) => {
    const name = `lossy_${native}_${type}`.replaceAll(/\W/g, "_").toLowerCase();
    await sql(server, `CREATE TABLE ${name} (k ${native} PRIMARY KEY)`);
    const tables = { [name]: { types: { k: parseType(type)! } } };
    await using source = await openSource(server, {}, { tables });
    await expect(tableOf(source, name)).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
      message: expect.stringContaining('column "k" is a') as string,
      hint: expect.stringContaining("STRING") as string,
    });
  });

  test.each([
    ["timestamptz", "294247-01-10 04:00:54.775807+00"],
    ["timestamp", "294276-12-31 23:59:59"],
    ["numeric(10,2)", "NaN"],
  ])("the hint for a %s key of %s may be taken at its word (case 11)", async (native, literal) => {
    const name = `hinted_${native}`.replaceAll(/\W/g, "_");
    await sql(server, `CREATE TABLE ${name} (k ${native} PRIMARY KEY); INSERT INTO ${name} VALUES ('${literal}')`);
    await using source = await openSource(server);
    const pass = await passOf(source, await tableOf(source, name));
    const failed: unknown = await operationsOf(source, pass).catch((thrown: unknown) => thrown);
    expect(failed).toMatchObject({ code: "VALUE_OUT_OF_RANGE", hint: expect.stringContaining("STRING") as string });
    await using told = await openSource(server, {}, { tables: { [name]: { types: { k: { kind: "STRING" } } } } });
    const table = await tableOf(told, name);
    const operations = [...(await operationsOf(told, await passOf(told, table))).values()].flat();
    const [rows] = operations.flatMap((operation) => ("rows" in operation ? [operation.rows] : []));
    expect((await collect(told.lookup(table, rows!, fast))).flatMap(cellsOfRows)).toEqual(cellsOfRows(rows!));
  });
});
