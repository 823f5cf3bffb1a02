import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fill, holding, rejectsWith, sync, tableOf, things, upsert } from "../../conformance/destination/steps.ts";
import { pythonPackages } from "../../../src/servers/python.ts";
import { describeWith, orMissing } from "../../servers/require.ts";
import { DuckdbHarness } from "./harness.ts";

/** What pyarrow and polars make of a file: types of the columns, and the rows as Python shows them. */
const reading = `
import json, sys, pyarrow.parquet, polars
table = pyarrow.parquet.read_table(sys.argv[1])
frame = polars.read_parquet(sys.argv[1])
print(json.dumps({
  "pyarrow": {"types": {field.name: str(field.type) for field in table.schema}, "rows": [repr(row) for row in table.to_pylist()]},
  "polars": {"types": {name: str(type) for name, type in frame.schema.items()}, "rows": [repr(row) for row in frame.rows(named=True)]},
}))
`;

const table = tableOf(
  "exact",
  {
    id: "LONG",
    flag: "BOOLEAN",
    small: "SHORT",
    price: "DECIMAL(10,2)",
    huge: "DECIMAL(38,0)",
    ratio: "DOUBLE",
    day: "NAIVE_DATE",
    time: "NAIVE_TIME",
    local: "NAIVE_DATETIME",
    seen: "UTC_DATETIME",
    bytes: "BINARY",
    text: "STRING",
    doc: "JSON",
  },
  ["id"],
);

const cells = [
  [
    9_007_199_254_740_993n,
    true,
    -32_768,
    -9_999_999_999n,
    -(10n ** 38n) + 1n,
    0.1,
    19_860,
    86_399_999_999n,
    1_715_904_000_123_456n,
    1_715_904_000_123_456n,
    new Uint8Array([0, 255, 128]),
    'a\0b "é😀"',
    '{"a": [1, 2.50]}',
  ],
  [1n, null, null, null, null, null, null, null, null, null, null, null, null],
] as const;

await describeWith(readers, "copies as Parquet files", ({ python }) => {
  test("are read by pyarrow and polars, with exact types and values, and without deleted rows", async () => {
    await using harness = await DuckdbHarness.make();
    await fill(harness, table, [...cells, [5n, ...cells[1].slice(1)]]);
    await sync(harness, { tables: [table], kind: "full", sync: 2 }, [upsert(table, ...cells)]);
    const folder = join(harness.folder, "out");
    await mkdir(folder);
    const file = join(folder, "exact.parquet");
    const how = { systemColumns: false, signal: new AbortController().signal };
    await holding(harness, async (warehouse) => {
      const written = await all(warehouse.exportParquet!(new Map([["exact", file]]), how));
      expect(written).toEqual([{ table: "exact", rows: 2 }]);
    });
    const seen = JSON.parse(await python.run("-c", reading, file)) as Record<
      "pyarrow" | "polars",
      { readonly types: Readonly<Record<string, string>>; readonly rows: readonly string[] }
    >;
    expect(seen.pyarrow.types).toEqual({
      id: "int64",
      flag: "bool",
      small: "int16",
      price: "decimal128(10, 2)",
      huge: "decimal128(38, 0)",
      ratio: "double",
      day: "date32[day]",
      time: "time64[us]",
      local: "timestamp[us]",
      seen: "timestamp[us, tz=UTC]",
      bytes: "binary",
      text: "string",
      doc: "string",
    });
    expect(seen.polars.types).toEqual({
      id: "Int64",
      flag: "Boolean",
      small: "Int16",
      price: "Decimal(precision=10, scale=2)",
      huge: "Decimal(precision=38, scale=0)",
      ratio: "Float64",
      day: "Date",
      time: "Time",
      local: "Datetime(time_unit='us', time_zone=None)",
      seen: "Datetime(time_unit='us', time_zone='UTC')",
      bytes: "Binary",
      text: "String",
      doc: "String",
    });
    const values = [
      "'id': 9007199254740993, 'flag': True, 'small': -32768, 'price': Decimal('-99999999.99')",
      "'huge': Decimal('-99999999999999999999999999999999999999'), 'ratio': 0.1, 'day': datetime.date(2024, 5, 17)",
      "'time': datetime.time(23, 59, 59, 999999), 'local': datetime.datetime(2024, 5, 17, 0, 0, 0, 123456)",
      "'seen': datetime.datetime(2024, 5, 17, 0, 0, 0, 123456, tzinfo=zoneinfo.ZoneInfo(key='UTC'))",
      `'bytes': b'\\x00\\xff\\x80', 'text': 'a\\x00b "é😀"', 'doc': '{"a": [1, 2.50]}'`,
    ];
    const nulls = table.columns.slice(1).map(({ name }) => `'${name}': None`);
    for (const { rows } of [seen.pyarrow, seen.polars])
      expect([...rows].sort()).toEqual([`{'id': 1, ${nulls.join(", ")}}`, `{${values.join(", ")}}`]);
  });

  test("have the system columns where that is asked for; a table without a copy writes nothing", async () => {
    await using harness = await DuckdbHarness.make();
    await fill(harness, things, [[1n, "one", 1]]);
    const file = join(harness.folder, "things.parquet");
    const how = { systemColumns: true, signal: new AbortController().signal };
    await holding(harness, async (warehouse, lease) => {
      await all(warehouse.exportParquet!(new Map([["things", file]]), how));
      const unknown = new Map([["of nobody", join(harness.folder, "nobody.parquet")]]);
      await rejectsWith("DESTINATION_EMPTY", all(warehouse.exportParquet!(unknown, how)), "of nobody");
      // The transaction that it read in is over.
      await (await warehouse.begin(lease, "2024-05-17T00:00:00.000Z")).commit([]);
    });
    expect((await readdir(harness.folder)).sort()).toEqual(["copy.duckdb", "things.parquet"]);
    const columns = `import sys, pyarrow.parquet; print(pyarrow.parquet.read_schema(sys.argv[1]).names)`;
    expect(await python.run("-c", columns, file)).toBe(
      "['id', 'name', 'at', '_headwaters_synced', '_headwaters_deleted']\n",
    );
  });
});

async function readers() {
  const python = await orMissing(pythonPackages("pyarrow==26.0.1", "polars==2.1.0"));
  return { python, [Symbol.asyncDispose]: async () => {} };
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}
