import { expect, test } from "vitest";
import { term } from "../../../src/wire/reql/terms.ts";
import { describeWith } from "../../servers/require.ts";
import { startRethinkdb } from "../../servers/rethinkdb.ts";
import { binary, columnsOf, fast, independent, openSource, planOf, readPass, tableOf, time } from "./reading.ts";

await describeWith(startRethinkdb, "documents of RethinkDB", (server) => {
  async function read(documents: Parameters<typeof server.insert>[1], how = fast, options = {}) {
    await server.createTable("documents");
    await server.insert("documents", documents);
    await using source = await openSource(server, options);
    const table = await tableOf(source, "documents");
    return { ...(await readPass(source, await planOf(source, table, "full"), how)), discovered: table };
  }

  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  const every = {
    id: "u1",
    yes: true,
    no: false,
    nothing: null,
    whole: -2_147_483_647,
    large: 9_007_199_254_740_991,
    fraction: 0.1,
    huge: 1e300,
    text: 'Zoë "🚀"\n\u0001',
    empty: "",
    moment: time("2023-11-14T22:13:20.123Z", "+05:30"),
    ancient: time("1001-01-01T00:00:00Z"),
    bytes: binary(bytes),
    noBytes: binary(new Uint8Array(0)),
    list: [],
    object: {},
    nested: { b: [1, 2.5, { c: null }], a: "x\ty" },
    tags: ["a", 1, true, null],
    place: { $reql_type$: "GEOMETRY", coordinates: [-122.4233, 37.7788], type: "Point" },
  };

  test.each([
    ["fast", fast],
    ["independent", independent],
  ])("every type of value is exact, by the %s path", async (_name, how) => {
    const { rows, table } = await read([every], how);
    expect(rows.get("u1")).toEqual({
      id: "u1",
      yes: true,
      no: false,
      whole: -2_147_483_647,
      large: 9_007_199_254_740_991,
      fraction: 0.1,
      huge: 1e300,
      text: 'Zoë "🚀"\n\u0001',
      empty: "",
      moment: 1_700_000_000_123_000n,
      ancient: BigInt(Date.parse("1001-01-01T00:00:00Z")) * 1_000n,
      bytes: Buffer.from(bytes).toString("hex"),
      noBytes: "",
      list: "[]",
      object: "{}",
      nested: '{"a":"x\\ty","b":[1,2.5,{"c":null}]}',
      tags: '["a",1,true,null]',
      place: '{"$reql_type$":"GEOMETRY","coordinates":[-122.4233,37.7788],"type":"Point"}',
    });
    expect(columnsOf(table)).toEqual({
      id: "STRING",
      yes: "BOOLEAN",
      no: "BOOLEAN",
      whole: "INT",
      large: "DOUBLE",
      fraction: "DOUBLE",
      huge: "DOUBLE",
      text: "STRING",
      empty: "STRING",
      moment: "UTC_DATETIME",
      ancient: "UTC_DATETIME",
      bytes: "BINARY",
      noBytes: "BINARY",
      list: "JSON",
      object: "JSON",
      nested: "JSON",
      tags: "JSON",
      place: "JSON",
    });
  });

  test("a field that only the last document has is as good as one of the first", async () => {
    const many = Array.from({ length: 4_000 }, (_, id) => ({ id, n: id }));
    // Between the places that the sample looks at.
    const documents = many.map((document) =>
      document.id === 2_900 ? { ...document, late: "here", n: 0.5, more: { a: 1 } } : document,
    );
    const { rows, table, discovered } = await read(documents);
    expect(columnsOf(discovered)).toEqual({ id: "INT", n: "INT" });
    expect(columnsOf(table)).toEqual({ id: "INT", n: "DOUBLE", late: "STRING", more: "JSON" });
    expect(rows.size).toBe(4_000);
    expect(rows.get("2900")).toEqual({ id: 2_900, n: 0.5, late: "here", more: '{"a":1}' });
    expect(rows.get("2901")).toEqual({ id: 2_901, n: 2_901 });
  });

  test("names that are empty, dotted, reserved or differ by case get columns of their own", async () => {
    const names = ["", "a.b", "Name", "name", "NAME", "_headwaters_synced", 'quo"te', "back\\slash", "rowid", "é"];
    const document = Object.fromEntries(names.map((name, index) => [name, index]));
    const { rows, table } = await read([
      { id: "1", ...document },
      { id: "2", NAME: 5 },
    ]);
    const columns = Object.keys(columnsOf(table)).filter((name) => name !== "id");
    expect(new Set(columns.map((name) => name.toLowerCase())).size).toBe(names.length);
    expect(columns).not.toContain("");
    expect(columns).not.toContain("_headwaters_synced");
    const { id: _id, ...values } = rows.get("1")!;
    expect(Object.values(values).toSorted()).toEqual(Object.values(document).toSorted());
    const other = Object.entries(rows.get("2")!).find(([name]) => name !== "id")!;
    expect(other[1]).toBe(5);
    expect(rows.get("1")![other[0]]).toBe(document["NAME"]);
    expect([rows.get("1")!["a.b"], rows.get("1")!["é"]]).toEqual([1, 9]);
    // Another process, another order of documents: the same names.
    await using source = await openSource(server);
    const again = await readPass(source, await planOf(source, table, "full"));
    expect(again.rows).toEqual(rows);
  });

  test("a column of several types holds all of them, each as what it is", async () => {
    const { rows, table } = await read([
      { id: 1, v: "forty" },
      { id: 2, v: 40 },
      { id: 3, v: 1.5 },
      { id: 4, v: true },
      { id: 5, v: [1] },
      { id: 6, v: time("2024-05-17T00:00:00Z") },
      { id: 7, v: null },
      { id: 8 },
    ]);
    expect(columnsOf(table)["v"]).toBe("STRING");
    expect([...rows].sort().map(([, row]) => row["v"])).toEqual([
      "forty",
      40,
      1.5,
      true,
      "[1]",
      BigInt(Date.parse("2024-05-17")) * 1_000n,
      undefined,
      undefined,
    ]);
  });

  test("keys of several types stay apart, and are found again", async () => {
    const keys = [["a", 1], true, 1, 1.5, binary(Buffer.from("k")), time("2020-09-13T12:26:40.5Z"), "one", "1"];
    const { table } = await read(keys.map((id, n) => ({ id, n })));
    expect(columnsOf(table)["id"]).toBe("JSON");
    await using source = await openSource(server);
    const pass = await planOf(source, await tableOf(source, "documents"), "full");
    const { rows } = await readPass(source, pass);
    expect([...rows.keys()].sort()).toEqual(
      ['"1"', '"one"', "1", "1.5", '["a",1]', '{"$reql_type$":"BINARY","data":"aw=="}', "true"]
        .concat('{"$reql_type$":"TIME","epoch_time":1600000000.5,"timezone":"+00:00"}')
        .sort(),
    );
    const found = new Set<unknown>();
    for await (const operation of source.read(pass, pass.splits[0]!, null, fast)) {
      if (operation.kind !== "upsert") continue;
      for await (const looked of source.lookup(pass.tables[0]!, operation.rows, fast)) found.add(looked.length);
    }
    expect([...found]).toEqual([keys.length]);
  });

  test.each([
    ["text", ["b", "a", "zz"], "STRING"],
    ["whole numbers", [1, -5, 7], "INT"],
    ["numbers", [1, 1.5], "DOUBLE"],
    ["times", [time("2024-01-01T00:00:00Z"), time("2024-01-02T00:00:00Z")], "UTC_DATETIME"],
    ["bytes", [binary(Buffer.from("a")), binary(Buffer.from("b"))], "BINARY"],
    [
      "arrays",
      [
        [1, 2],
        [1, 3],
      ],
      "JSON",
    ],
  ])("keys that are %s are found again", async (_what, keys, kind) => {
    const { table, rows } = await read(keys.map((id) => ({ id })));
    expect(columnsOf(table)["id"]).toBe(kind);
    expect(rows.size).toBe(keys.length);
    await using source = await openSource(server);
    const of = await tableOf(source, "documents");
    const pass = await planOf(source, of, "full");
    for await (const operation of source.read(pass, pass.splits[0]!, null, fast)) {
      if (operation.kind !== "upsert") continue;
      let found = 0;
      for await (const looked of source.lookup(of, operation.rows, fast)) found += looked.length;
      expect(found).toBe(keys.length);
    }
  });

  test("a key of another type than the others makes the table another", async () => {
    await server.createTable("documents");
    await server.insert("documents", [{ id: 1 }]);
    await using source = await openSource(server);
    const before = await tableOf(source, "documents");
    await server.insert("documents", [{ id: "1" }]);
    await expect(planOf(source, before, "full")).rejects.toMatchObject({ code: "TABLE_CHANGED" });
    expect((await tableOf(source, "documents")).identity).not.toBe(before.identity);
  });

  test("a primary key of another name", async () => {
    await server.createTable("projects", { primary_key: "project_id" });
    await server.insert("projects", [{ project_id: "p1", id: 5 }]);
    await using source = await openSource(server);
    const table = await tableOf(source, "projects");
    expect(table.key).toEqual(["project_id"]);
    const { rows } = await readPass(source, await planOf(source, table, "full"));
    expect(rows.get("p1")).toEqual({ project_id: "p1", id: 5 });
  });

  test("whole numbers that were rounded are said, once", async () => {
    const warnings: string[] = [];
    const { discovered } = await read(
      [
        { id: 1, n: 2 ** 60 },
        { id: 2, n: 2 ** 61 },
      ],
      fast,
      { warnings },
    );
    expect(discovered.notes.join(" ")).toMatch(/"n": whole numbers beyond 2\^53/);
    expect(warnings).toEqual([expect.stringMatching(/column "n" has whole numbers beyond 2\^53/)]);
  });

  test("types that the user sets hold, and a value that does not fit is an error", async () => {
    const documents = [
      { id: 1, at: 1_700_000_000, code: 7, v: "x" },
      { id: 2, at: "2023-11-14T22:13:20+00:00", code: 8, v: [1] },
      { id: 3, at: 1_700_000_000_000, code: 9, v: 3 },
    ];
    const types = { at: { kind: "UTC_DATETIME" }, code: { kind: "STRING" }, v: { kind: "JSON" } } as const;
    const { rows, table } = await read(documents, fast, { tables: { documents: { types } } });
    expect(columnsOf(table)).toEqual({ id: "INT", at: "UTC_DATETIME", code: "STRING", v: "JSON" });
    expect([...rows.values()].map((row) => row["at"])).toEqual(Array(3).fill(1_700_000_000_000_000n));
    expect([...rows.values()].map((row) => row["v"])).toEqual(['"x"', "[1]", "3"]);
    const wrong = { tables: { documents: { types: { v: { kind: "INT" } } } } };
    await expect(read(documents, fast, wrong)).rejects.toMatchObject({
      code: "VALUE_OUT_OF_RANGE",
      message: 'table "documents": column "v" of key 1 is no INT: "x"',
    });
    const odd = { tables: { documents: { types: { v: { kind: "NAIVE_DATE" } } } } };
    await expect(read(documents, fast, odd)).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
  });

  test("types: example makes text of nested values", async () => {
    const { table } = await read([every], fast, { types: "example" });
    expect(columnsOf(table)).toMatchObject({ nested: "STRING", tags: "STRING", text: "STRING" });
  });

  test("a document of many megabytes, and one with 100,000 elements", { timeout: 60_000 }, async () => {
    const large = "x".repeat(20 << 20);
    const elements = Array.from({ length: 100_000 }, (_, index) => index);
    const { rows } = await read([{ id: "large", large }, { id: "list", elements }, { id: "small" }]);
    expect((rows.get("large")!["large"] as string).length).toBe(large.length);
    expect(JSON.parse(rows.get("list")!["elements"] as string)).toEqual(elements);
    expect(rows.get("small")).toEqual({ id: "small" });
  });

  test("splits share the keys out, whatever they look like", async () => {
    for (const key of [
      (n: number) => `${(Math.imul(n, 2_654_435_761) >>> 0).toString(16).padStart(8, "0")}-aaaa`,
      (n: number) => n,
      (n: number) => n / 7,
      (n: number) => `user:${n}`,
      (n: number) => [n % 5, n],
      (n: number) => time(new Date(n * 1e9).toISOString()),
    ]) {
      await server.createTable("many");
      await server.insert(
        "many",
        Array.from({ length: 2_000 }, (_, n) => ({ id: key(n), n })),
      );
      await using source = await openSource(server);
      const table = { ...(await tableOf(source, "many")) };
      const { splits } = await planOf(source, table, "full");
      expect(splits.length).toBe(1);
      const { rows } = await readPass(source, await planOf(source, table, "full"));
      expect(rows.size).toBe(2_000);
    }
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "many"]));
  });
});
