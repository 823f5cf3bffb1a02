import { expect, test } from "vitest";
import { type CassandraServer, startCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { Copy, type CopyOptions } from "./copying.ts";
import { openCassandra, passOver, rowsOfPass, tableNamed } from "./harness.ts";

const long = { timeout: 120_000 };

/** Syncs once more and expects that nothing is written; then that source and copy are equal. */
async function settled(copy: Copy, settings: Record<string, unknown>, options: CopyOptions): Promise<void> {
  for (const run of Object.values(await copy.sync(settings, options))) {
    expect(run).toMatchObject({ outcome: "whole", inserted: 0, updated: 0, deleted: 0 });
  }
  expect((await copy.verify(settings, options)).verdict).toBe("CONVERGED");
}

await describeWith(startCassandra, "changes in Cassandra", (server: CassandraServer) => {
  test(
    "a cursor that tells of new rows only: what is equal, back-dated, NULL, changed and gone arrives",
    long,
    async () => {
      const index = Number.parseInt(server.version, 10) >= 5 ? "USING 'sai'" : "";
      await server.run("CREATE TABLE sample (id int PRIMARY KEY, name text, created_at timestamp)");
      await server.run(`CREATE INDEX ON sample (created_at) ${index}`);
      const at = new Date(Date.UTC(2024, 4, 17));
      const insert = "INSERT INTO sample (id, name, created_at) VALUES (?, ?, ?)";
      await server.runAll(
        insert,
        Array.from({ length: 300 }, (_, id) => [id, `row ${id}`, id % 5 === 0 ? null : at]),
      );
      await using copy = await Copy.make(server);
      const options = { include: ["sample"] };
      expect((await copy.sync({}, options))["sample"]).toMatchObject({ outcome: "whole", inserted: 300 });
      const now = new Date();
      await server.runAll(insert, [
        [300, "equal", at],
        [301, "back-dated", new Date(0)],
        [302, "without", null],
        [303, "new", now],
        [304, "new at the same moment", now],
      ]);
      await server.run("UPDATE sample SET name = 'changed' WHERE id = 7");
      await server.run("UPDATE sample SET name = null WHERE id = 8");
      await server.run("DELETE FROM sample WHERE id = 9");
      expect((await copy.sync({}, options))["sample"]).toMatchObject({ inserted: 5, updated: 2, deleted: 1 });
      await settled(copy, {}, options);
    },
  );

  test(
    "write times show what changed in collections, statics, user-defined types and expiring cells",
    long,
    async () => {
      await server.run("CREATE TYPE place (street text, number int)");
      await server.run(
        'CREATE TABLE "MixedCase" ("Part" text, seq int, tags set<text>, "list" list<int>, attributes map<text, text>, home place, shared text static, note text, PRIMARY KEY ("Part", seq)) WITH CLUSTERING ORDER BY (seq DESC)',
      );
      const row = (part: string, seq: number): string =>
        `INSERT INTO "MixedCase" ("Part", seq, tags, "list", attributes, home, shared, note) VALUES ('${part}', ${seq}, {'a', 'b'}, [1, 2], {'k': 'v'}, {street: 'S', number: 1}, 'shared', 'note')`;
      for (const part of ["p", "q", "r"]) for (const seq of [1, 2, 3]) await server.run(row(part, seq));
      await server.run(`INSERT INTO "MixedCase" ("Part", shared) VALUES ('only static', 's')`);
      await server.run(`INSERT INTO "MixedCase" ("Part", seq, note) VALUES ('t', 1, 'expires') USING TTL 4`);
      await server.run(`INSERT INTO "MixedCase" ("Part", seq, note) VALUES ('u', 1, 'keeps')`);
      await server.run(`UPDATE "MixedCase" USING TTL 4 SET note = 'expires' WHERE "Part" = 'u' AND seq = 1`);
      await using copy = await Copy.make(server);
      const [settings, options] = [{ changes: "writetime" }, { include: ["MixedCase"] }];
      expect((await copy.sync(settings, options))["MixedCase"]).toMatchObject({ outcome: "whole", inserted: 12 });
      await server.run(`UPDATE "MixedCase" SET tags = tags - {'a'} WHERE "Part" = 'p' AND seq = 1`);
      await server.run(`UPDATE "MixedCase" SET "list" = "list" + [3] WHERE "Part" = 'p' AND seq = 2`);
      await server.run(`DELETE attributes['k'] FROM "MixedCase" WHERE "Part" = 'p' AND seq = 3`);
      await server.run(`UPDATE "MixedCase" SET home.number = 2 WHERE "Part" = 'q' AND seq = 1`);
      await server.run(`UPDATE "MixedCase" SET shared = 'changed' WHERE "Part" = 'r'`);
      await server.run(`UPDATE "MixedCase" SET shared = 'changed' WHERE "Part" = 'only static'`);
      await new Promise((resolve) => setTimeout(resolve, 4_500));
      expect((await copy.sync(settings, options))["MixedCase"]).toMatchObject({ inserted: 0, updated: 9, deleted: 1 });
      expect(await copy.query(`SELECT seq FROM s."MixedCase" WHERE "Part" = 'only static'`)).toEqual([{ seq: 0 }]);
      await settled(copy, settings, options);
      // Its first row takes the place of the partition without rows; a range delete empties another.
      await server.run(`INSERT INTO "MixedCase" ("Part", seq) VALUES ('only static', 5)`);
      await server.run(`DELETE FROM "MixedCase" WHERE "Part" = 'r' AND seq > 1`);
      expect((await copy.sync(settings, options))["MixedCase"]).toMatchObject({ inserted: 1, updated: 0, deleted: 3 });
      await settled(copy, settings, options);
    },
  );

  test("a table that is made anew with another type is read by the same source", long, async () => {
    await server.run("CREATE TABLE remade (id int PRIMARY KEY, v text)");
    await server.run("INSERT INTO remade (id, v) VALUES (1, 'x')");
    await using source = await openCassandra(server, { changes: "full" });
    expect(await rowsOfPass(source, await passOver(source, await tableNamed(source, "remade")))).toHaveLength(1);
    await server.run("DROP TABLE remade");
    await server.run("CREATE TABLE remade (id int PRIMARY KEY, v int)");
    await server.run("INSERT INTO remade (id, v) VALUES (1, 7)");
    const pass = await passOver(source, await tableNamed(source, "remade"));
    // What was prepared before is found out at the first reading, which is planned again.
    await expect(rowsOfPass(source, pass)).rejects.toMatchObject({ code: "TABLE_CHANGED" });
    expect(await rowsOfPass(source, pass)).toEqual([{ id: 1, v: 7 }]);
  });

  test("partitions of nothing but static columns, where the clustering column is a structure", long, async () => {
    await server.run(
      "CREATE TABLE structured (part text, at frozen<list<int>>, shared text static, v int, PRIMARY KEY (part, at))",
    );
    await server.run("INSERT INTO structured (part, shared) VALUES ('only static', 's')");
    await server.run("INSERT INTO structured (part, shared) VALUES ('goes', 's')");
    await server.run("INSERT INTO structured (part, at, v) VALUES ('p', [1], 1)");
    await using copy = await Copy.make(server);
    const [settings, options] = [{ changes: "writetime" }, { include: ["structured"] }];
    expect((await copy.sync(settings, options))["structured"]).toMatchObject({ outcome: "whole", inserted: 3 });
    await server.run("INSERT INTO structured (part, shared) VALUES ('only static', 'changed')");
    await server.run("DELETE FROM structured WHERE part = 'goes'");
    const second = (await copy.sync(settings, options))["structured"];
    expect(second).toMatchObject({ outcome: "whole", updated: 1, deleted: 1 });
    await settled(copy, settings, options);
  });

  test("tables with nothing but a key, counters, empty strings and types of all kinds in keys", long, async () => {
    await server.run("CREATE TABLE only_key (a text, b int, PRIMARY KEY ((a, b)))");
    await server.run("CREATE TABLE visits (page text PRIMARY KEY, hits counter, misses counter)");
    await server.run(
      "CREATE TABLE keys (a blob, b frozen<list<int>>, c text, d timeuuid, e decimal, f inet, g frozen<tuple<int, text>>, h varint, i timestamp, v int, PRIMARY KEY ((a, b), c, d, e, f, g, h, i))",
    );
    await server.run("CREATE TABLE prices (amount decimal PRIMARY KEY, v int)");
    for (const b of [1, 2, 3]) await server.run(`INSERT INTO only_key (a, b) VALUES ('', ${b})`);
    await server.run("UPDATE visits SET hits = hits + 2, misses = misses + 1 WHERE page = '/'");
    await server.run("UPDATE visits SET hits = hits + 1 WHERE page = '/a'");
    const time = "50554d6e-29bb-11e5-b345-feff819cdc9f";
    const keys = (c: string, v: number): string =>
      `INSERT INTO keys (a, b, c, d, e, f, g, h, i, v) VALUES (0x00ff, [1, 2], '${c}', ${time}, 1.50, '::1', (1, 'x'), -300, '2024-05-17T08:00:00.123Z', ${v})`;
    for (const [v, c] of ["", "a", "é"].entries()) await server.run(keys(c, v));
    for (const [v, amount] of ["1.0", "1.00", "2E+3"].entries())
      await server.run(`INSERT INTO prices (amount, v) VALUES (${amount}, ${v})`);
    await using copy = await Copy.make(server);
    const [settings, options] = [{ changes: "writetime" }, { include: ["only_key", "visits", "keys", "prices"] }];
    const first = await copy.sync(settings, options);
    expect(Object.values(first).map((run) => [run.table, run.inserted])).toEqual(
      expect.arrayContaining([
        ["only_key", 3],
        ["visits", 2],
        ["keys", 3],
        ["prices", 3],
      ]),
    );
    await server.run("DELETE FROM only_key WHERE a = '' AND b = 2");
    await server.run("INSERT INTO only_key (a, b) VALUES ('n', 0)");
    await server.run("UPDATE visits SET hits = hits + 5 WHERE page = '/a'");
    await server.run(keys("", 70));
    await server.run(keys("é", 80));
    await server.run("INSERT INTO prices (amount, v) VALUES (1.00, 90)");
    const second = await copy.sync(settings, options);
    expect(second["only_key"]).toMatchObject({ inserted: 1, updated: 0, deleted: 1 });
    expect(second["visits"]).toMatchObject({ updated: 1 });
    expect(second["keys"]).toMatchObject({ updated: 2 });
    expect(second["prices"]).toMatchObject({ inserted: 0, updated: 1, deleted: 0 });
    expect(await copy.rows("prices")).toEqual([
      { amount: "1.0", v: 0 },
      { amount: "1.00", v: 90 },
      { amount: "2E+3", v: 2 },
    ]);
    await settled(copy, settings, options);
  });

  test("without an index a sweep compares the cursor; ALLOW FILTERING asks for new values only", long, async () => {
    await server.run("CREATE TABLE orders (id int PRIMARY KEY, state text, updated_at timestamp)");
    const insert = "INSERT INTO orders (id, state, updated_at) VALUES (?, ?, ?)";
    await server.runAll(
      insert,
      Array.from({ length: 200 }, (_, id) => [id, "new", new Date(1.6e12 + id)]),
    );
    await using copy = await Copy.make(server);
    await using filtered = await Copy.make(server);
    const options = { include: ["orders"] };
    const sweep = { cursor_column: "updated_at" };
    const filter = { ...sweep, allow_filtering: "true" };
    await copy.sync(sweep, options);
    await filtered.sync(filter, options);
    await server.runAll(insert, [
      [3, "paid", new Date()],
      [200, "new", new Date()],
    ]);
    await server.run("DELETE FROM orders WHERE id = 4");
    const swept = (await copy.sync(sweep, options))["orders"]!;
    expect(swept).toMatchObject({ passes: ["keys"], inserted: 1, updated: 1, deleted: 1 });
    const windowed = (await filtered.sync(filter, { ...options, engine: { deletes: "never" } }))["orders"]!;
    expect(windowed).toMatchObject({ passes: ["window"], rowsRead: 2, inserted: 1, updated: 1, deleted: 0 });
    await settled(copy, sweep, options);
  });

  test("a table without the column is read whole, and only what differs is written", long, async () => {
    await server.run("CREATE TABLE plain (id int PRIMARY KEY, name text)");
    await server.runAll(
      "INSERT INTO plain (id, name) VALUES (?, ?)",
      Array.from({ length: 100 }, (_, id) => [id, "n"]),
    );
    await using copy = await Copy.make(server);
    const options = { include: ["plain"] };
    await copy.sync({}, options);
    await server.run("UPDATE plain SET name = 'm' WHERE id = 1");
    await server.run("DELETE FROM plain WHERE id = 2");
    const run = (await copy.sync({}, options))["plain"]!;
    expect(run).toMatchObject({ passes: ["full"], inserted: 0, updated: 1, deleted: 1 });
    await settled(copy, {}, options);
  });

  test("below a quorum nothing is compared", long, async () => {
    await server.run("CREATE TABLE weak (id int PRIMARY KEY, name text)");
    await server.run("INSERT INTO weak (id, name) VALUES (1, 'n')");
    await using copy = await Copy.make(server);
    const [settings, options] = [{ consistency: "local_one" }, { include: ["weak"] }];
    expect((await copy.sync(settings, options))["weak"]).toMatchObject({ outcome: "whole", inserted: 1 });
    for (const changes of ["writetime", "full"]) {
      const run = (await copy.sync({ ...settings, changes }, options))["weak"]!;
      expect(run.error).toMatchObject({
        code: "CONFIGURATION_INVALID",
        message: expect.stringContaining("consistency: LOCAL_ONE is too weak") as string,
      });
    }
  });

  test(
    "a column that is added fills old rows, one that is dropped is emptied, a new table of that name replaces",
    long,
    async () => {
      await server.run("CREATE TABLE drift (id int PRIMARY KEY, a text)");
      await server.runAll("INSERT INTO drift (id, a) VALUES (?, ?)", [
        [1, "x"],
        [2, "y"],
      ]);
      await using copy = await Copy.make(server);
      const [settings, options] = [{ changes: "writetime" }, { include: ["drift"] }];
      await copy.sync(settings, options);
      await server.run("ALTER TABLE drift ADD b int");
      await server.run("UPDATE drift SET b = 7 WHERE id = 2");
      expect((await copy.sync(settings, options))["drift"]).toMatchObject({ passes: ["full"], outcome: "whole" });
      expect(await copy.rows("drift")).toEqual([
        { id: 1, a: "x", b: null },
        { id: 2, a: "y", b: 7 },
      ]);
      await server.run("ALTER TABLE drift DROP a");
      // Every row has another version now: one full pass, no look-up of each.
      expect((await copy.sync(settings, options))["drift"]).toMatchObject({ passes: ["full"], outcome: "whole" });
      expect(await copy.rows("drift")).toEqual([
        { id: 1, a: null, b: null },
        { id: 2, a: null, b: 7 },
      ]);
      await server.run("DROP TABLE drift");
      await server.run("CREATE TABLE drift (id int PRIMARY KEY, a text)");
      await server.run("INSERT INTO drift (id, a) VALUES (3, 'z')");
      // It has none of the rows that were there: that is not believed without the user's word.
      const limited = { ...options, engine: { maxDeleteFraction: 0.999 } };
      expect((await copy.sync(settings, limited))["drift"]!.error?.code).toBe("DELETES_STOPPED");
      await copy.sync(settings, { ...options, acceptDeletes: true });
      expect((await copy.rows("drift")).map((row) => row["id"])).toEqual([3]);
      await settled(copy, settings, options);
    },
  );

  test("other fields of a user-defined type bring a full read, in that sync (case 28)", long, async () => {
    await server.run("CREATE TYPE inner_part (n int)");
    await server.run("CREATE TYPE outer_part (a int, b frozen<inner_part>)");
    await server.run(
      "CREATE TABLE parted (id timeuuid PRIMARY KEY, p list<frozen<outer_part>>, q outer_part, updated_at timestamp)",
    );
    await server.run(
      "INSERT INTO parted (id, p, q, updated_at) VALUES (50554d6e-29bb-11e5-b345-feff819cdc9f, [{a: 1, b: {n: 1}}], {a: 2}, '2024-01-01')",
    );
    await using copy = await Copy.make(server);
    const common = { include: ["parted"], engine: { deletes: "never" }, acceptScope: true } as const;
    const byCursor = { ...common, overrides: { parted: { cursor: "updated_at" } } };
    for (const [settings, options] of [
      [{ changes: "writetime" }, common],
      [{}, byCursor],
    ] as const) {
      await copy.sync(settings, options);
      await server.run(`ALTER TYPE inner_part ADD more_${Object.keys(settings).length} text`);
      expect((await copy.sync(settings, options))["parted"]).toMatchObject({ passes: ["full"], updated: 1 });
      expect((await copy.sync(settings, options))["parted"]!.passes).not.toContain("full");
    }
    await server.run("ALTER TYPE outer_part RENAME a TO z");
    expect((await copy.sync({}, byCursor))["parted"]).toMatchObject({ passes: ["full"], updated: 1 });
    expect(await copy.rows("parted")).toMatchObject([
      {
        p: '[{"z":1,"b":{"n":1,"more_1":null,"more_0":null}}]',
        q: '{"z":2,"b":null}',
      },
    ]);
    expect((await copy.verify({}, byCursor)).verdict).toBe("CONVERGED");
  });

  test("numbers past 38 digits make their column text in the same sync (case 11)", long, async () => {
    await server.run("CREATE TABLE long_numbers (id int PRIMARY KEY, v varint, d decimal)");
    await server.run("INSERT INTO long_numbers (id, v, d) VALUES (1, 7, 1.50)");
    await using copy = await Copy.make(server);
    const [settings, options] = [{ changes: "writetime" }, { include: ["long_numbers"] }];
    await copy.sync(settings, options);
    await server.run(`INSERT INTO long_numbers (id, v, d) VALUES (2, ${"9".repeat(40)}, 0.${"1".repeat(30)})`);
    expect((await copy.sync(settings, options))["long_numbers"]).toMatchObject({ outcome: "whole", inserted: 1 });
    expect(copy.warnings.filter((warning) => warning.includes("copied as STRING"))).toHaveLength(2);
    expect(await copy.rows("long_numbers")).toEqual([
      { id: 1, v: "7", d: "1.50" },
      { id: 2, v: "9".repeat(40), d: `0.${"1".repeat(30)}` },
    ]);
    await server.run("INSERT INTO long_numbers (id, v, d) VALUES (3, 1, 2)");
    expect((await copy.sync(settings, options))["long_numbers"]).toMatchObject({ passes: ["keys"], inserted: 1 });
    await settled(copy, settings, options);
  });

  test(
    "partitions of nothing but static columns, where the clustering column is a timeuuid (case 27)",
    long,
    async () => {
      await server.run("CREATE TABLE timed (p int, c timeuuid, s text static, v int, PRIMARY KEY (p, c))");
      await server.run("INSERT INTO timed (p, s) VALUES (1, 'alone')");
      await server.run(
        "INSERT INTO timed (p, c, s, v) VALUES (2, 50554d6e-29bb-11e5-b345-feff819cdc9f, 'with a row', 1)",
      );
      await using copy = await Copy.make(server);
      const [settings, options] = [{ changes: "writetime" }, { include: ["timed"] }];
      expect((await copy.sync(settings, options))["timed"]).toMatchObject({ inserted: 2 });
      await server.run("UPDATE timed SET s = 'still alone' WHERE p = 1");
      expect((await copy.sync(settings, options))["timed"]).toMatchObject({ updated: 1, inserted: 0, deleted: 0 });
      expect(await copy.query("SELECT p, c::VARCHAR AS c, s FROM s.timed ORDER BY p")).toEqual([
        { p: 1, c: "00000000-0000-0000-0000-000000000000", s: "still alone" },
        { p: 2, c: "50554d6e-29bb-11e5-b345-feff819cdc9f", s: "with a row" },
      ]);
      await settled(copy, settings, options);
    },
  );
});
