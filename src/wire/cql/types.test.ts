import { describe, expect, test } from "vitest";
import { cqlTypeName, isMultiCell, parseCqlType, type UserTypes } from "./types.ts";
import { parseClass } from "./wire-types.ts";

const userTypes: UserTypes = new Map([
  ["address", [["street", "text"] as const, ["zip", "frozen<tuple<int, int>>"] as const]],
  ['My "Type"', [["a", "frozen<address>"] as const]],
]);

describe("types as system_schema writes them", () => {
  test.each([
    ["int", "int"],
    ["varchar", "text"],
    ["frozen<map<text, frozen<list<int>>>>", "map<text, list<int>>"],
    ["tuple<int, frozen<set<uuid>>, text>", "tuple<int, set<uuid>, text>"],
    ["vector<float, 3>", "vector<float, 3>"],
    ["vector<vector<int, 2>, 4>", "vector<vector<int, 2>, 4>"],
    ["frozen<address>", "address"],
    ['list<frozen<"My ""Type""">>', 'list<My "Type">'],
    [
      "'org.apache.cassandra.db.marshal.DynamicCompositeType(a=>x)'",
      "org.apache.cassandra.db.marshal.DynamicCompositeType(a=>x)",
    ],
  ])("%s is %s", (text, name) => {
    expect(cqlTypeName(parseCqlType(text, userTypes))).toBe(name);
  });

  test("fields of a user-defined type are types too", () => {
    expect(parseCqlType('"My ""Type"""', userTypes)).toEqual({
      kind: "udt",
      name: 'My "Type"',
      fields: [["a", parseCqlType("address", userTypes)]],
    });
  });

  test.each(["list<", "map<int>", "unheard_of", "int int", "vector<float>"])("%s can't be understood", (text) => {
    expect(() => parseCqlType(text, userTypes)).toThrow(/can't be understood/);
  });

  test("only what is not frozen is kept cell by cell", () => {
    const kept = ["set<int>", "address", '"My ""Type"""'];
    const frozen = ["frozen<set<int>>", "frozen<address>", "int", "tuple<int>", "vector<int, 2>"];
    expect(kept.map((text) => isMultiCell(text, userTypes))).toEqual(kept.map(() => true));
    expect(frozen.map((text) => isMultiCell(text, userTypes))).toEqual(frozen.map(() => false));
  });
});

const marshal = "org.apache.cassandra.db.marshal.";

describe("types as Java classes", () => {
  test.each([
    [`${marshal}VectorType(${marshal}FloatType , 3)`, "vector<float, 3>"],
    [`${marshal}VectorType(${marshal}VectorType(${marshal}Int32Type, 2), 4)`, "vector<vector<int, 2>, 4>"],
    [
      `${marshal}FrozenType(${marshal}MapType(${marshal}UTF8Type,${marshal}ListType(${marshal}DecimalType)))`,
      "map<text, list<decimal>>",
    ],
    [`${marshal}UserType(ks,61646472,6e616d65:${marshal}UTF8Type,6e:${marshal}TupleType(${marshal}LongType))`, "addr"],
    [`${marshal}LexicalUUIDType`, `${marshal}LexicalUUIDType`],
  ])("%s is %s", (text, name) => {
    expect(cqlTypeName(parseClass(text))).toBe(name);
  });
});
