import fc from "fast-check";
import { expect, test } from "vitest";
import type { Rows } from "../../../src/protocol/rows.ts";
import type { Table } from "../../../src/protocol/table.ts";
import type { Source } from "../../../src/protocol/source.ts";
import type { Type } from "../../../src/protocol/types.ts";
import { project } from "../../../src/toolkit/vectors.ts";
import { type CassandraServer, startCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { Copy } from "./copying.ts";
import { openCassandra, passOver, reading, rowsOfPass, tableNamed } from "./harness.ts";

const long = { timeout: 120_000 };
const text: Type = { kind: "STRING" };

/** A type of a key column and literals of CQL of it. */
interface Sample {
  readonly type: string;
  readonly literal: fc.Arbitrary<string>;
}

const quote = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const int = (bits: bigint): fc.Arbitrary<string> =>
  fc.bigInt({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }).map(String);

const scalars: readonly Sample[] = [
  { type: "ascii", literal: fc.string({ unit: "grapheme-ascii" }).map(quote) },
  { type: "text", literal: fc.string({ unit: "grapheme" }).map(quote) },
  { type: "bigint", literal: int(64n) },
  { type: "int", literal: int(32n) },
  { type: "smallint", literal: int(16n) },
  { type: "tinyint", literal: int(8n) },
  { type: "varint", literal: int(120n) },
  { type: "blob", literal: fc.uint8Array({ maxLength: 20 }).map((bytes) => `0x${Buffer.from(bytes).toString("hex")}`) },
  { type: "boolean", literal: fc.boolean().map(String) },
  { type: "date", literal: fc.integer({ min: 2, max: 2 ** 32 - 3 }).map(String) },
  {
    type: "decimal",
    literal: fc
      .tuple(fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), fc.integer({ min: 1, max: 15 }))
      .map(([unscaled, scale]) => {
        const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
        return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
      }),
  },
  { type: "double", literal: fc.double({ noNaN: true, noDefaultInfinity: true, min: 1e-3, max: 1e15 }).map(String) },
  { type: "float", literal: fc.constantFrom("0.1", "NaN", "-Infinity", "16777216", "-3.25") },
  {
    type: "inet",
    literal: fc
      .oneof(
        fc.ipV4(),
        fc.ipV6().filter((ip) => !ip.includes(".")),
      )
      .map(quote),
  },
  { type: "time", literal: fc.constantFrom("'08:30:00.000000001'", "'23:59:59.999999999'", "'00:00:00'") },
  {
    type: "timestamp",
    literal: fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }).map(String), fc.constant("253402300800000")),
  },
  { type: "uuid", literal: fc.uuid() },
  { type: "timeuuid", literal: fc.uuid({ version: 1 }) },
];

const scalar = fc.constantFrom(...scalars);
const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalar,
    tie("sample").map(({ type, literal }): Sample => {
      return {
        type: `frozen<list<${type}>>`,
        literal: fc.array(literal, { maxLength: 3 }).map((all) => `[${all.join()}]`),
      };
    }),
    scalar.map(({ type, literal }): Sample => {
      return {
        type: `frozen<set<${type}>>`,
        literal: fc.array(literal, { maxLength: 3 }).map((all) => `{${all.join()}}`),
      };
    }),
    fc.tuple(scalar, tie("sample")).map(([key, value]): Sample => {
      const entries = fc.array(fc.tuple(key.literal, value.literal), { maxLength: 3 });
      return {
        type: `frozen<map<${key.type}, ${value.type}>>`,
        literal: entries.map((all) => `{${all.map((entry) => entry.join(": ")).join()}}`),
      };
    }),
    fc.tuple(tie("sample"), tie("sample")).map(([a, b]): Sample => {
      const parts = fc.tuple(a.literal, fc.option(b.literal, { nil: "null" }));
      return { type: `frozen<tuple<${a.type}, ${b.type}>>`, literal: parts.map((all) => `(${all.join()})`) };
    }),
    fc.constant<Sample>({
      type: 'frozen<"Key Type">',
      literal: fc
        .tuple(scalars[10]!.literal, fc.option(fc.constantFrom("'x'", "'1970-01-01'"), { nil: "null" }))
        .map(([number, day]) => `{"Unit Price": ${number}, plain: {${day === "null" ? "" : "'a': 7.10"}}}`),
    }),
  ),
}));

/** The keys of all rows of a table. */
async function keysOf(source: Source, table: Table): Promise<Rows[]> {
  const pass = await passOver(source, table);
  const keys: Rows[] = [];
  for (const split of pass.splits) {
    for await (const operation of source.read(pass, split, null, reading))
      if ("rows" in operation) keys.push(project(operation.rows, table.key));
  }
  return keys;
}

/** How many of the rows that a pass sees are met by their keys. */
async function metByKey(source: Source, table: Table): Promise<readonly [seen: number, met: number]> {
  let [seen, met] = [0, 0];
  for (const keys of await keysOf(source, table)) {
    seen += keys.length;
    for await (const rows of source.lookup(table, keys, reading)) met += rows.length;
  }
  return [seen, met];
}

await describeWith(startCassandra, "keys in Cassandra", (server: CassandraServer) => {
  test("random keys of random types are met by look-ups, as each type and as text (case 9)", long, async () => {
    await server.run(`CREATE TYPE "Key Type" ("Unit Price" decimal, plain frozen<map<text, decimal>>)`);
    const [seed] = fc.sample(fc.nat(), 1);
    const samples = [...scalars, ...fc.sample(sample, { seed: seed!, numRuns: 14 })];
    const names = samples.map((_, index) => `k${index}`);
    const columns = samples.map(({ type }, index) => `${names[index]} ${type}`).join(", ");
    await server.run(
      `CREATE TABLE random_keys (${columns}, v int, PRIMARY KEY ((${names.slice(0, 24).join()}), ${names.slice(24).join()}))`,
    );
    const rows = fc.sample(fc.tuple(...samples.map(({ literal }) => literal)), { seed: seed!, numRuns: 40 });
    for (const row of rows) await server.run(`INSERT INTO random_keys (${names.join()}, v) VALUES (${row.join()}, 1)`);
    const [count] = await server.run("SELECT count(*) AS n FROM random_keys");
    const types = Object.fromEntries(names.map((name) => [name, text]));
    for (const tables of [{}, { random_keys: { types } }]) {
      await using source = await openCassandra(server, { changes: "writetime" }, { tables });
      const table = await tableNamed(source, "random_keys");
      const [seen, met] = await metByKey(source, table);
      expect({ seed, seen, met }).toEqual({ seed, seen: Number(count!["n"]), met: seen });
    }
  });

  test(
    "a structure with decimals, quoted fields or far timestamps in its key is kept up to date (case 9)",
    long,
    async () => {
      await server.run('CREATE TYPE "Spot" ("House No" int, at timestamp)');
      await server.run(
        'CREATE TABLE spots (prices frozen<map<text, decimal>>, spot frozen<"Spot">, v int, PRIMARY KEY (prices, spot))',
      );
      const put = (v: number): Promise<unknown> =>
        server.run(
          `INSERT INTO spots (prices, spot, v) VALUES ({'a': 7.10}, {"House No": 3, at: 253402300800000}, ${v})`,
        );
      await put(1);
      await using copy = await Copy.make(server);
      const [settings, options] = [{ changes: "writetime" }, { include: ["spots"] }];
      await copy.sync(settings, options);
      await put(2);
      expect((await copy.sync(settings, options))["spots"]).toMatchObject({ passes: ["keys"], updated: 1, deleted: 0 });
      expect((await copy.verify(settings, options)).verdict).toBe("CONVERGED");
    },
  );

  test(
    "a field that is added to a user-defined type, or renamed, is seen in rows written before (case 28)",
    long,
    async () => {
      await server.run("CREATE TYPE grows (a int)");
      await server.run(
        "CREATE TABLE grown (p int, k frozen<grows>, w frozen<list<frozen<grows>>>, v int, PRIMARY KEY (p, k))",
      );
      for (const p of [1, 2]) await server.run(`INSERT INTO grown (p, k, w, v) VALUES (${p}, {a: 1}, [{a: 1}], 1)`);
      await using copy = await Copy.make(server);
      const [settings, options] = [{ changes: "writetime" }, { include: ["grown"] }];
      await copy.sync(settings, options);
      await server.run("ALTER TYPE grows ADD b int");
      await server.run("INSERT INTO grown (p, k, v) VALUES (2, {a: 1, b: null}, 2)");
      await server.run("INSERT INTO grown (p, k, v) VALUES (3, {a: 1, b: 2}, 3)");
      expect((await copy.sync(settings, options))["grown"]).toMatchObject({ outcome: "whole", passes: ["full"] });
      expect((await copy.rows("grown")).map(({ p, w, v }) => [p, w, v])).toEqual([
        [1, '[{"a":1,"b":null}]', 1],
        [2, '[{"a":1,"b":null}]', 2],
        [3, null, 3],
      ]);
      await server.run("INSERT INTO grown (p, k, v) VALUES (1, {a: 1}, 9)");
      expect((await copy.sync(settings, options))["grown"]).toMatchObject({ passes: ["keys"], error: null });
      expect((await copy.verify(settings, options)).verdict).toBe("CONVERGED");
      await server.run("ALTER TYPE grows RENAME a TO first");
      const renamed = await copy.sync(settings, { ...options, acceptDeletes: true });
      expect(renamed["grown"]).toMatchObject({ outcome: "whole", error: null });
      expect((await copy.verify(settings, options)).verdict).toBe("CONVERGED");
    },
  );

  const collapsing: readonly (readonly [
    name: string,
    cql: string,
    literals: readonly string[],
    kept: readonly string[],
  ])[] = [
    ["signed_double", "double", ["-0.0", "0.0"], ["-0.0", "0"]],
    ["signed_float", "float", ["-0.0", "0.0", "NaN"], ["-0.0", "0", "NaN"]],
    ["empty_int", "int", ["blobAsInt(0x)", "0"], ["", "0"]],
    ["empty_boolean", "boolean", ["blobAsBoolean(0x)", "false"], ["", "false"]],
    ["empty_timestamp", "timestamp", ["blobAsTimestamp(0x)", "0"], ["", "1970-01-01T00:00:00.000Z"]],
  ];

  test.each(collapsing)(
    "%s as a key: never one row in silence, and STRING keeps both (case 10)",
    async (name, cql, literals, kept) => {
      await server.run(`CREATE TABLE ${name} (p int, k ${cql}, v int, PRIMARY KEY (p, k))`);
      await server.run(`CREATE TABLE ${name}_alone (p int, k ${cql}, v int, PRIMARY KEY ((p, k)))`);
      const put = async (v: number): Promise<void> => {
        for (const table of [name, `${name}_alone`])
          for (const [index, literal] of literals.entries())
            await server.run(`INSERT INTO ${table} (p, k, v) VALUES (1, ${literal}, ${v + index})`);
      };
      await put(0);
      await using copy = await Copy.make(server);
      const settings = { changes: "writetime" };
      const include = [name, `${name}_alone`];
      for (const run of Object.values(await copy.sync(settings, { include }))) {
        expect(run.error).toMatchObject({
          code: "KEY_DUPLICATE",
          message: expect.stringContaining('column "k"') as string,
          hint: expect.stringContaining("types: { k: STRING }") as string,
        });
      }
      const overrides = Object.fromEntries(include.map((table) => [table, { types: { k: text } }]));
      for (const run of Object.values(await copy.sync(settings, { include, overrides })))
        expect(run).toMatchObject({ outcome: "whole", error: null });
      await put(10);
      for (const run of Object.values(await copy.sync(settings, { include, overrides })))
        expect(run).toMatchObject({ passes: ["keys"], updated: literals.length, deleted: 0 });
      for (const table of include) expect((await copy.rows(table)).map(({ k }) => k).sort()).toEqual([...kept].sort());
      expect((await copy.verify(settings, { include, overrides })).verdict).toBe("CONVERGED");
    },
    120_000,
  );

  test.each<[string, string, Type, string]>([
    ["decimal", "partition", { kind: "DECIMAL", precision: 20, scale: 2 }, "two partitions"],
    ["decimal", "partition", { kind: "DOUBLE" }, "53 bits"],
    ["decimal", "clustering", { kind: "DOUBLE" }, "53 bits"],
    ["bigint", "clustering", { kind: "DOUBLE" }, "53 bits"],
  ])("a %s of the %s key is not read as %o (case 7)", async (cql, place, type, reason) => {
    const name = `lossy_${cql}_${place}_${type.kind.toLowerCase()}`;
    await server.run(`CREATE TABLE ${name} (a ${cql}, b ${cql}, PRIMARY KEY (a, b))`);
    const column = place === "partition" ? "a" : "b";
    await using source = await openCassandra(server, {}, { tables: { [name]: { types: { [column]: type } } } });
    await expect(tableNamed(source, name)).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
      message: expect.stringContaining(reason) as string,
      hint: expect.stringContaining("STRING") as string,
    });
  });

  test.each<[string, string]>([
    ["varint", "1" + "0".repeat(38)],
    ["decimal", "0.0000000000000000001"],
    ["timestamp", "9223372036854775807"],
    ["date", "0"],
  ])("the hint for a %s key of %s may be taken at its word (case 11)", async (cql, literal) => {
    const name = `hinted_${cql}`;
    await server.run(`CREATE TABLE ${name} (p int, k ${cql}, v int, PRIMARY KEY (p, k))`);
    await server.run(`INSERT INTO ${name} (p, k, v) VALUES (1, ${literal}, 1)`);
    await using source = await openCassandra(server);
    const failed: unknown = await tableNamed(source, name)
      .then((table) => passOver(source, table))
      .then((pass) => rowsOfPass(source, pass))
      .catch((thrown: unknown) => thrown);
    expect(failed).toMatchObject({ code: "VALUE_OUT_OF_RANGE" });
    const [, column, type] = /types: \{ (\w+): (\w+) \}/.exec((failed as { hint: string }).hint)!;
    const tables = { [name]: { types: { [column!]: { kind: type as "STRING" } } } };
    await using told = await openCassandra(server, {}, { tables });
    expect(await metByKey(told, await tableNamed(told, name))).toEqual([1, 1]);
  });

  test("a table of few rows is one split, of more rows several", long, async () => {
    await server.run("CREATE TABLE few (id int PRIMARY KEY)");
    await using source = await openCassandra(server);
    const splits = async (): Promise<number> => (await passOver(source, await tableNamed(source, "few"))).splits.length;
    for (const [rows, most] of [
      [3, 1],
      [300, Infinity],
    ] as const) {
      await server.runAll(
        "INSERT INTO few (id) VALUES (?)",
        Array.from({ length: rows }, (_, id) => [id]),
      );
      const count = await splits();
      expect(count).toBeLessThanOrEqual(most);
      expect(count > 1).toBe(rows === 300);
    }
  });
});
