import { expect, test } from "vitest";
import { startRedisStack } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { fast, independent, openSource, operations, planOf, readRows, tableOf } from "./reading.ts";

await describeWith(
  () => startRedisStack(7),
  "expanded tables",
  (server) => {
    test("declared columns of hashes, with their types", async () => {
      await server.runAll([
        [
          "HSET",
          "user:1",
          "name",
          "Ada",
          "age",
          "36",
          "paid",
          "true",
          "balance",
          "12.50",
          "since",
          "2024-05-17T10:00:00Z",
          "other",
          "x",
        ],
        ["HSET", "user:2", "name", "Bob", "id", "7"],
        ["HSET", "user:2:profile", "name", "not a user"],
        ["SET", "user:3", "a string"],
        ["RPUSH", "user:4", "a list"],
      ]);
      const columns = {
        name: "STRING",
        age: "LONG",
        is_paid: { from: "paid", type: "BOOLEAN" },
        balance: "DECIMAL(12,2)",
        since: "UTC_DATETIME",
        value: {},
      };
      const warnings: string[] = [];
      await using source = await openSource(
        server,
        { tables: { users: { pattern: "user:{id}", columns } } },
        { warnings },
      );
      const table = await tableOf(source, "users");
      expect(table).toMatchObject({ key: ["id"], cursor: null, version: "_headwaters_version" });
      const rows = await readRows(source, table);
      const nothing = { name: null, age: null, is_paid: null, balance: null, since: null, value: null };
      expect(without(rows)).toEqual([
        { ...nothing, id: "1", name: "Ada", age: 36n, is_paid: true, balance: 1250n, since: 1715940000000000n },
        { ...nothing, id: "2", name: "Bob" },
        { ...nothing, id: "3", value: "a string" },
      ]);
      expect(without(await readRows(source, table, { how: independent }), true)).toEqual(without(rows, true));
      expect(warnings).toEqual([
        'table "users": keys of the type list match its pattern, but have no fields; they are left out',
      ]);
    });

    test("a value that is not of the declared type stops the table, and is named", async () => {
      await using source = await openSource(server, {
        tables: { users: { pattern: "user:{id}", columns: { name: "LONG" } } },
      });
      const table = await tableOf(source, "users");
      await expect(readRows(source, table)).rejects.toThrow(
        /table "users": column "name" of key "user:\d" is no LONG: "(Ada|Bob)"/,
      );
    });

    test("without declared columns every field is one, those that come later too", async () => {
      await server.run("FLUSHDB");
      await server.runAll(
        Array.from({ length: 1_500 }, (_, index) => ["HSET", `user:${index}`, "name", `n${index}`, "id", index]),
      );
      await using source = await openSource(server, { tables: { users: { pattern: "user:{id}" } } });
      const table = await tableOf(source, "users");
      expect(table.columns.map(({ name }) => name)).toEqual(["id", "_headwaters_version", "name", "id_field"]);
      await server.run("HSET", "user:7", "new field", "here", "name", "n7");
      const names: string[] = [];
      for await (const operation of operations(source, await planOf(source, table, "keys"))) {
        if (operation.kind === "schema") names.push(...operation.table.columns.map(({ name }) => name));
      }
      expect(names).toContain("new field");
      const seen = await readRows(source, {
        ...table,
        columns: [...table.columns, { name: "new field", type: { kind: "STRING" }, nullable: true }],
      });
      expect(seen.size).toBe(1_500);
      expect(seen.get("7")).toMatchObject({ name: "n7", id_field: "7", "new field": "here" });
      expect(seen.get("8")).toMatchObject({ name: "n8", "new field": null });
      const full = await readRows(source, table);
      expect(full.get("7")).toMatchObject({ "new field": "here" });
      expect(full.get("7")!["_headwaters_version"]).toBe(seen.get("7")!["_headwaters_version"]);
      const sparse = { ...fast, batchBytes: 1_000 };
      expect((await readRows(source, table, { how: sparse })).size).toBe(1_500);
    });

    test("members of JSON documents, by path or as they are found", async () => {
      await server.run(
        "JSON.SET",
        "order:eu:1",
        "$",
        '{"total":12.50,"to":{"city":"Zürich","lines":["a","b"]},"paid":false,"note":null}',
      );
      const columns = {
        total: "DECIMAL(10,2)",
        city: { from: "to.city" },
        second: { from: "$.to.lines.1" },
        lines: { from: "to.lines", type: "JSON" },
        paid: "BOOLEAN",
        note: "STRING",
      };
      const tables = {
        orders: { pattern: "order:{shop}:{number}", columns },
        found: { pattern: "order:{shop}:{number}" },
      };
      await using source = await openSource(server, { tables });
      const orders = await tableOf(source, "orders");
      const declared = await readRows(source, orders);
      expect(without(declared)).toEqual([
        {
          shop: "eu",
          number: "1",
          total: 1250n,
          city: "Zürich",
          second: "b",
          lines: '["a","b"]',
          paid: false,
          note: null,
        },
      ]);
      expect(without(await readRows(source, orders, { how: independent }))).toEqual(without(declared));
      const found = await tableOf(source, "found");
      const open = await readRows(source, found);
      expect(without(open)).toEqual([
        {
          shop: "eu",
          number: "1",
          total: expect.stringMatching(/^12\.50?$/),
          to: '{"city":"Zürich","lines":["a","b"]}',
          paid: "false",
        },
      ]);
      expect(without(await readRows(source, found, { how: independent }))).toEqual(without(open));
    });

    test("types of the connection's overrides hold for them", async () => {
      await using source = await openSource(
        server,
        { tables: { users: { pattern: "user:{id}" } } },
        { tables: { users: { types: { id_field: { kind: "INT" } } } } },
      );
      expect((await readRows(source, await tableOf(source, "users"))).get("7")!["id_field"]).toBe(7);
    });

    test("a value that does not fit fails its table, and not the discovery of all", async () => {
      const tables = { users: { pattern: "user:{id}" }, others: { pattern: "order:{shop}:{number}" } };
      await using source = await openSource(
        server,
        { tables },
        { tables: { users: { types: { name: { kind: "LONG" } } } } },
      );
      const users = await tableOf(source, "users");
      expect((await readRows(source, await tableOf(source, "others"))).size).toBe(1);
      await expect(readRows(source, users)).rejects.toThrow(/column "name" of key "user:\d+" is no LONG/);
    });

    test("names that do not fit are refused", async () => {
      for (const [tables, message] of [
        [{ users: { pattern: "user:{id}", columns: { id: "STRING" } } }, /"id" is the name of a key column/],
        [{ users: { pattern: "user:{id}", columns: { at: "NAIVE_TIME" } } }, /column "at" can't be of type NAIVE_TIME/],
        [
          { users: { pattern: "user:{id}", columns: { email: "STRING", login: { from: "email" } } } },
          /^tables.users.columns: "email" and "login" both take the field "email"/,
        ],
        [{ dragonfly_data: { pattern: "user:{id}", columns: {} } }, /"dragonfly_data" is the name of two tables/],
      ] as const) {
        await using source = await openSource(server, { tables });
        await expect(tableOf(source, Object.keys(tables)[0]!)).rejects.toThrow(message);
      }
      await expect(openSource(server, { tables: { users: { pattern: "user:*" } } })).rejects.toThrow(
        /must have a name in braces/,
      );
    });
  },
);

function without(rows: Awaited<ReturnType<typeof readRows>>, version = false): Record<string, unknown>[] {
  return [...rows.values()]
    .map((row) => {
      const { _headwaters_version: _, ...rest } = row;
      return version ? { ...row } : rest;
    })
    .sort((a, b) => String(a["id"]).localeCompare(String(b["id"])));
}
