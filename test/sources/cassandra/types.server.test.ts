import { beforeAll, expect, test } from "vitest";
import { type CassandraServer, startCassandra } from "../../servers/cassandra.ts";
import { openCassandra, passOver, reading, rowsOfPass, tableNamed } from "./harness.ts";
import { describeWith } from "../../servers/require.ts";
import type { Table } from "../../../src/protocol/table.ts";
import type { Type } from "../../../src/protocol/types.ts";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { typeName } from "../../../src/toolkit/types.ts";

const id = "123e4567-e89b-12d3-a456-426614174000";
const time = "50554d6e-29bb-11e5-b345-feff819cdc9f";
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const scaled = 10n ** 18n;

/** A type, and literals of CQL with what they are read as. */
const cases: readonly (readonly [cql: string, type: string, values: readonly (readonly [string, Cell])[]])[] = [
  [
    "ascii",
    "STRING",
    [
      ["'plain'", "plain"],
      ["''", ""],
    ],
  ],
  [
    "text",
    "STRING",
    [
      ["'é \u{1F30A} \u0001'", "é \u{1F30A} \u0001"],
      ["''", ""],
    ],
  ],
  [
    "tinyint",
    "SHORT",
    [
      ["-128", -128],
      ["127", 127],
    ],
  ],
  [
    "smallint",
    "SHORT",
    [
      ["-32768", -32768],
      ["32767", 32767],
    ],
  ],
  [
    "int",
    "INT",
    [
      ["-2147483648", -2147483648],
      ["2147483647", 2147483647],
    ],
  ],
  [
    "bigint",
    "LONG",
    [
      ["-9223372036854775808", -(2n ** 63n)],
      ["9223372036854775807", 2n ** 63n - 1n],
    ],
  ],
  [
    "varint",
    "DECIMAL(38,0)",
    [
      ["-1", -1n],
      ["99999999999999999999999999999999999999", 10n ** 38n - 1n],
      ["256", 256n],
    ],
  ],
  [
    "decimal",
    "DECIMAL(38,18)",
    [
      ["-1.50", (-3n * scaled) / 2n],
      ["1E+3", 1000n * scaled],
      ["0.000000000000000001", 1n],
    ],
  ],
  [
    "float",
    "FLOAT",
    [
      ["0.1", Math.fround(0.1)],
      ["NaN", NaN],
      ["-Infinity", -Infinity],
    ],
  ],
  [
    "double",
    "DOUBLE",
    [
      ["0.1", 0.1],
      ["-0.0", -0],
      ["Infinity", Infinity],
    ],
  ],
  [
    "boolean",
    "BOOLEAN",
    [
      ["true", true],
      ["false", false],
    ],
  ],
  [
    "blob",
    "BINARY",
    [
      ["0x00ff", hex("00ff")],
      ["0x", hex("")],
    ],
  ],
  ["uuid", "UUID", [[id, id]]],
  ["timeuuid", "UUID", [[time, time]]],
  [
    "timestamp",
    "UTC_DATETIME",
    [
      ["'2024-05-17T08:00:00.123Z'", 1715932800123000n],
      ["-1", -1000n],
      ["8640000000000000", 8640000000000000000n],
      ["-8640000000000000", -8640000000000000000n],
    ],
  ],
  [
    "date",
    "NAIVE_DATE",
    [
      ["'1969-12-31'", -1],
      ["'2024-02-29'", 19782],
      ["2147483648", 0],
      ["2", -2147483646],
    ],
  ],
  ["time", "LONG", [["'08:30:00.000000001'", 30600000000001n]]],
  [
    "duration",
    "STRING",
    [
      ["1y2mo3d4h5m6s7ms", "1y2mo3d4h5m6s7ms"],
      ["-89h", "-89h"],
      ["0s", "0s"],
      ["20000h", "20000h"],
      ["9223372036854775807ns", "2562047h47m16s854ms775us807ns"],
      ["-9223372036854775807ns", "-2562047h47m16s854ms775us807ns"],
      ["2147483647mo2147483647d", "178956970y7mo2147483647d"],
    ],
  ],
  [
    "inet",
    "STRING",
    [
      ["'127.0.0.1'", "127.0.0.1"],
      ["'2001:db8::1'", "2001:db8::1"],
      ["'::'", "::"],
      ["'1:0:0:2:0:0:0:3'", "1:0:0:2::3"],
      ["'1:0:2:3:4:5:6:7'", "1:0:2:3:4:5:6:7"],
      ["'1:2:3:4:5:6:7:0'", "1:2:3:4:5:6:7:0"],
      ["'0:0:0:1:0:2:3:4'", "::1:0:2:3:4"],
      ["'::ffff:1.2.3.4'", "1.2.3.4"],
      ["'::1.2.3.4'", "::102:304"],
    ],
  ],
  ["list<int>", "JSON", [["[3, 1, 3]", "[3,1,3]"]]],
  ["set<text>", "JSON", [["{'b', 'a', '\"'}", '["\\"","a","b"]']]],
  ["map<int, text>", "JSON", [["{2: 'b', 1: 'a'}", '{"1":"a","2":"b"}']]],
  [
    "frozen<map<text, frozen<list<decimal>>>>",
    "JSON",
    [
      ["{'x': [1.10, 2E+2]}", '{"x":[1.10,2E+2]}'],
      ["{}", "{}"],
    ],
  ],
  ["tuple<int, text, boolean>", "JSON", [["(1, null, true)", "[1,null,true]"]]],
  ["vector<float, 3>", "JSON", [["[0.1, 2, -3.5]", "[0.1,2,-3.5]"]]],
  ["vector<text, 2>", "JSON", [["['a', 'longer']", '["a","longer"]']]],
  ["frozen<address>", "JSON", [["{street: 'A', \"House No\": 7}", '{"street":"A","House No":7,"seen":null}']]],
  ["address", "JSON", [["{street: 'B', seen: '2024-05-17'}", '{"street":"B","House No":null,"seen":"2024-05-17"}']]],
  ["map<frozen<tuple<int, int>>, blob>", "JSON", [["{(1, 2): 0x0a}", '{"[1,2]":"0x0a"}']]],
  ["list<double>", "JSON", [["[NaN, 0.5]", '["NaN",0.5]']]],
  ["list<bigint>", "JSON", [["[9223372036854775807]", "[9223372036854775807]"]]],
  ["set<timestamp>", "JSON", [["{'2024-05-17T08:00:00Z'}", '["2024-05-17T08:00:00.000Z"]']]],
  ["list<frozen<list<inet>>>", "JSON", [["[['::1'], []]", '[["::1"],[]]']]],
];

await describeWith(startCassandra, "types of Cassandra", (server: CassandraServer) => {
  const possible = cases.filter(([cql]) => !cql.includes("vector") || Number.parseInt(server.version, 10) >= 5);
  const read: Record<string, readonly Readonly<Record<string, Cell>>[]> = {};
  let table: Table;

  beforeAll(async () => {
    await server.run(`CREATE TYPE address (street text, "House No" int, seen date)`);
    const columns = possible.map(([cql], index) => `v${index} ${cql}`).join(", ");
    await server.run(`CREATE TABLE every (k int PRIMARY KEY, ${columns})`);
    for (const [index, [, , values]] of possible.entries()) {
      for (const [k, [literal]] of values.entries())
        await server.run(`INSERT INTO every (k, v${index}) VALUES (${k}, ${literal})`);
    }
    await server.run("INSERT INTO every (k) VALUES (100)");
    await using source = await openCassandra(server, { changes: "writetime" });
    table = await tableNamed(source, "every");
    const pass = await passOver(source, table);
    for (const path of ["fast", "independent"] as const)
      read[path] = await rowsOfPass(source, pass, { ...reading, path });
  });

  test.each(possible.map((one, index) => [...one, `v${index}`] as const))(
    "%s is %s, exactly",
    (_, type, values, name) => {
      expect(typeName(table.columns.find((column) => column.name === name)!.type)).toBe(type);
      const seen = new Map(read["fast"]!.map((row) => [row["k"], row[name]]));
      for (const [k, [, value]] of values.entries()) expect(seen.get(k)).toEqual(value);
      expect(seen.get(100)).toBeNull();
    },
  );

  test("the independent path reads the same, write times too", () => {
    const byKey = (path: string): unknown => new Map(read[path]!.map((row) => [row["k"], row]));
    expect(byKey("independent")).toEqual(byKey("fast"));
  });

  test("types: example gives the types of the published example", async () => {
    await server.run(
      "CREATE TABLE example (k uuid PRIMARY KEY, a ascii, b text, i int, s smallint, y tinyint, l bigint, v varint, f float, d double, c decimal, o boolean, t timestamp, e date, u timeuuid, x blob)",
    );
    await server.run(
      `INSERT INTO example (k, a, b, i, s, y, l, v, f, d, c, o, t, e, u, x) VALUES (${id}, 'a', 'b', 1, 2, 3, 4, 5, 0.5, 0.25, 1.10, true, 1000, '1970-01-02', ${time}, 0xcafe)`,
    );
    await using source = await openCassandra(server, { changes: "full" }, { types: "example" });
    const table = await tableNamed(source, "example");
    expect(Object.fromEntries(table.columns.map(({ name, type }) => [name, typeName(type)]))).toEqual({
      ...{ k: "STRING", a: "STRING", b: "STRING", i: "INT", s: "INT", y: "INT", l: "LONG", v: "LONG", f: "FLOAT" },
      ...{ d: "DOUBLE", c: "DOUBLE", o: "BOOLEAN", t: "UTC_DATETIME", e: "NAIVE_DATE", u: "STRING", x: "STRING" },
    });
    const row = {
      ...{ k: id, a: "a", b: "b", i: 1, s: 2, y: 3, l: 4n, v: 5n, f: 0.5, d: 0.25, c: 1.1, o: true, t: 1_000_000n },
      ...{ e: 1, u: time, x: "0xcafe" },
    };
    const pass = await passOver(source, table);
    expect(await rowsOfPass(source, pass)).toEqual([row]);
    expect(await rowsOfPass(source, pass, { ...reading, path: "independent" })).toEqual([row]);
  });

  test.each<[string, string, RegExp]>([
    ["varint", "1" + "0".repeat(38), /column "v" \(varint\) does not fit/],
    ["decimal", "0.0000000000000000001", /DECIMAL\(38,18\)/],
    ["timestamp", "9223372036854775807", /outside the years/],
    ["date", "0", /too far/],
  ])("a %s of %s stops the table, and passes as STRING", async (cql, literal, message) => {
    const name = `over_${cql}`;
    await server.run(`CREATE TABLE ${name} (k int PRIMARY KEY, v ${cql})`);
    await server.run(`INSERT INTO ${name} (k, v) VALUES (1, ${literal})`);
    await using source = await openCassandra(server);
    const pass = await passOver(source, await tableNamed(source, name));
    const column = pass.tables[0]!.columns.find((candidate) => candidate.name === "v")!;
    if (column.type.kind === "DECIMAL") {
      // Without a setting the column becomes text; the type that the user sets holds.
      await expect(rowsOfPass(source, pass)).rejects.toMatchObject({ code: "TABLE_CHANGED" });
      const [row] = await rowsOfPass(source, await passOver(source, await tableNamed(source, name)));
      expect(row!["v"]).toBe(literal);
      const types = { [name]: { types: { v: column.type } } };
      await using set = await openCassandra(server, {}, { tables: types });
      await expect(rowsOfPass(set, await passOver(set, await tableNamed(set, name)))).rejects.toMatchObject({
        code: "VALUE_OUT_OF_RANGE",
        message: expect.stringMatching(message),
      });
    } else {
      await expect(rowsOfPass(source, pass)).rejects.toMatchObject({
        code: "VALUE_OUT_OF_RANGE",
        message: expect.stringMatching(message),
      });
    }
    const text: Type = { kind: "STRING" };
    await using told = await openCassandra(server, {}, { tables: { [name]: { types: { v: text } } } });
    const [row] = await rowsOfPass(told, await passOver(told, await tableNamed(told, name)));
    expect(typeof row!["v"]).toBe("string");
  });

  test("a type that a column can't have is refused by name", async () => {
    await server.run("CREATE TABLE odd (k uuid PRIMARY KEY, v text)");
    const types = { v: { kind: "LONG" } } as const;
    await using source = await openCassandra(server, {}, { tables: { odd: { types } } });
    await expect(tableNamed(source, "odd")).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
      message: expect.stringContaining('column "v" is a text, which can\'t be read as LONG'),
    });
  });
});
