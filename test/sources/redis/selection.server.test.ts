import fc from "fast-check";
import { expect, test } from "vitest";
import { globs } from "../../../src/sources/redis/scan/glob.ts";
import { Workspace } from "../../cli/workspace.ts";
import { startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { openSource, settingsOf, tableOf } from "./reading.ts";

const long = { timeout: 60_000 };

await describeWith(
  () => startValkey(15),
  "what is chosen of DragonflyDB",
  (server) => {
    const tables = { users: { pattern: "user:{id}" } };
    const workspace = (): Promise<Workspace> =>
      Workspace.make({ type: "dragonflydb", ...settingsOf(server), tables, streams: false, time_series: false });

    test("columns of expanded tables, also of fields that come later; other names", long, async () => {
      await server.run("FLUSHDB");
      const set = (id: number, ...fields: (string | number)[]): Promise<unknown> =>
        server.run("HSET", `user:${id}`, ...fields);
      for (let id = 1; id <= 50; id++) await set(id, "name", `n${id}`, "secret", "s", "debug_a", "x");
      await using space = await workspace();
      const users = { columns: { exclude: ["debug_*", "secret"], rename: { name: "full_name" } }, rename: "people" };
      await space.configure({ tables: ["users"], overrides: { users } });
      expect((await space.sync())["users"]).toMatchObject({ outcome: "whole", inserted: 50 });
      await set(1, "debug_b", "y", "secret", "changed");
      await set(2, "name", "zwei", "city", "Ulm");
      await server.run("DEL", "user:3");
      // One secret was all that changed in the first: that is no change.
      expect((await space.sync())["users"]).toMatchObject({ outcome: "whole", inserted: 0, updated: 1, deleted: 1 });
      expect((await space.sync())["users"]).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
      const rows = await space.rows("people");
      expect(Object.keys(rows[0]!).sort()).toEqual(["city", "full_name", "id"]);
      expect(rows.find(({ id }) => id === "2")).toEqual({ id: "2", full_name: "zwei", city: "Ulm" });
      expect((await space.run("verify")).code).toBe(0);
    });

    test("the table of all keys without a column", long, async () => {
      await server.run("FLUSHDB");
      await server.run("SET", "a", "1");
      await using space = await workspace();
      await space.configure({
        tables: ["dragonfly_data"],
        overrides: { dragonfly_data: { columns: { exclude: ["value", "ttl"] } } },
      });
      expect((await space.sync())["dragonfly_data"]).toMatchObject({ outcome: "whole", inserted: 1 });
      await server.run("SET", "a", "2");
      expect((await space.sync())["dragonfly_data"]).toMatchObject({ outcome: "whole", updated: 1 });
      expect(Object.keys((await space.rows("dragonfly_data"))[0]!)).toEqual([
        "key",
        "data_type",
        "last_modified",
        "size",
      ]);
      expect((await space.run("verify")).code).toBe(0);
    });

    test("a cursor, and types, for tables whose columns are fixed are refused", async () => {
      for (const id of ["dragonfly_data", "dragonfly_data_streams"]) {
        for (const [options, message] of [
          [{ cursor: "last_modified" }, `overrides.${id}.cursor: how this table's changes are found is fixed`],
          [{ types: { key: { kind: "LONG" } } }, `overrides.${id}.types: the columns of this table have fixed types`],
        ] as const) {
          await using source = await openSource(server, {}, { tables: { [id]: options } });
          await expect(tableOf(source, id)).rejects.toThrow(message);
        }
      }
    });

    test("settings that don't fit one table hide no other (case 13)", async () => {
      const given = { tables: { bad: { pattern: "user:{id}", columns: { id: "STRING" } }, ...tables } };
      await using source = await openSource(server, given, { tables: { dragonfly_data: { cursor: "size" } } });
      const found = await source.discover(new AbortController().signal);
      expect(found.map(({ id, refused }) => [id, refused?.code ?? null])).toEqual(
        expect.arrayContaining([
          ["dragonfly_data", "CURSOR_INVALID"],
          ["bad", "CONFIGURATION_INVALID"],
          ["users", null],
        ]),
      );
    });

    test("patterns match as the server has it", async () => {
      await server.run("FLUSHDB");
      // Of the empty key alone the server says that it does not match `**`: here it does.
      const text = (letters: string): fc.Arbitrary<string> =>
        fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 7 }).map((parts) => parts.join(""));
      await fc.assert(
        fc.asyncProperty(text("ab*?[]\\^-"), fc.array(text("abc[]\\^-*ä"), { minLength: 1 }), async (pattern, keys) => {
          await server.run("MSET", ...keys.flatMap((key) => [key, ""]));
          const found = ((await server.run("KEYS", pattern)) as readonly Buffer[]).map(String).sort();
          const matched = [...new Set(keys)].filter((key) => globs([pattern])(Buffer.from(key))).sort();
          await server.run("DEL", ...keys);
          expect([pattern, matched]).toEqual([pattern, found]);
        }),
        { numRuns: 2_000 },
      );
    });

    test("rows have no filter, and it says what there is instead", async () => {
      await using space = await workspace();
      await space.configure({ overrides: { users: { filter: "x > 1" } } });
      const { code, error } = await space.run("sync");
      expect([code, error]).toEqual([2, expect.stringContaining("DragonflyDB has no filter of rows")]);
    });
  },
);
