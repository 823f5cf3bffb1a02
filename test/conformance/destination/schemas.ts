import assert from "node:assert/strict";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { typeName } from "../../../src/toolkit/types.ts";
import {
  copied,
  type DestinationCheck,
  fill,
  holding,
  left,
  live,
  passOf,
  rejectsWith,
  schema,
  some,
  stamps,
  statesOf,
  sync,
  syncAt,
  tableOf,
  things,
  transact,
  upsert,
} from "./steps.ts";

const infinity = 9_223_372_036_854_775_807n;

/** From → to, with values of the first that must be the same in the second. */
const widenings = [
  ["SHORT", "INT", [-32_768, 32_767], [-32_768, 32_767]],
  ["INT", "LONG", [-2_147_483_648, null], [-2_147_483_648n, null]],
  ["LONG", "DECIMAL(38,0)", [9_223_372_036_854_775_807n], [9_223_372_036_854_775_807n]],
  ["LONG", "DECIMAL(21,2)", [-9_223_372_036_854_775_808n], [-922_337_203_685_477_580_800n]],
  ["DECIMAL(4,2)", "DECIMAL(6,4)", [-9_999n], [-999_900n]],
  ["DECIMAL(10,2)", "DECIMAL(38,20)", [12_345_678_90n], [1_234_567_890n * 10n ** 18n]],
  ["FLOAT", "DOUBLE", [0.5, Infinity, NaN], [0.5, Infinity, NaN]],
  ["INT", "DOUBLE", [2_147_483_647], [2_147_483_647]],
  ["NAIVE_DATE", "NAIVE_DATETIME", [19_860], [19_860n * 86_400_000_000n]],
  ["NAIVE_DATE", "UTC_DATETIME", [19_860, null], [19_860n * 86_400_000_000n, null]],
  ["NAIVE_DATETIME", "UTC_DATETIME", [-1n, 1_715_904_000_123_456n], [-1n, 1_715_904_000_123_456n]],
  ["UTC_DATETIME", "NAIVE_DATETIME", [-1n, 1_715_904_000_123_456n], [-1n, 1_715_904_000_123_456n]],
  ["NAIVE_DATE", "UTC_DATETIME", [2_147_483_647, -2_147_483_647], [infinity, -infinity]],
  ["NAIVE_DATE", "NAIVE_DATETIME", [2_147_483_647, -2_147_483_647], [infinity, -infinity]],
  ["NAIVE_DATETIME", "UTC_DATETIME", [infinity, -infinity], [infinity, -infinity]],
  ["UTC_DATETIME", "NAIVE_DATETIME", [infinity, -infinity], [infinity, -infinity]],
  ["LONG", "STRING", [9_007_199_254_740_993n], ["9007199254740993"]],
  [
    "DECIMAL(38,10)",
    "STRING",
    [-12_345_678_901_234_567_890_123_456_789_012_345_678n],
    ["-1234567890123456789012345678.9012345678"],
  ],
  ["DECIMAL(4,4)", "STRING", [1n, -9_999n, 0n, null], ["0.0001", "-0.9999", "0.0000", null]],
  ["BOOLEAN", "STRING", [true, false, null], ["true", "false", null]],
  ["JSON", "STRING", ['{"a": [1]}', "null", null], ['{"a": [1]}', "null", null]],
] as const;

const awkward = [
  `a "quoted" name`,
  "it's",
  "select",
  "Größe 世界",
  "UPPER",
  " space ",
  "semi;colon--",
  "a.b",
  "%s $1 ?",
  "rowid",
  "c_id",
  "deleted",
  "_headwaters",
];

export const schemaChecks: readonly DestinationCheck[] = [
  {
    name: "a new column is added, a dropped one becomes NULL, and may come back",
    async run(harness) {
      await fill(harness, things, [
        [1n, "one", 1],
        [2n, "two", 2],
      ]);
      const changed = tableOf("things", { id: "LONG", at: "INT", fresh: "DOUBLE" }, ["id"]);
      await sync(harness, { tables: [changed], kind: "full", sync: 2 }, [upsert(changed, [1n, 1, 0.5], [2n, 2, null])]);
      assert.deepEqual(
        (await copied(harness, "things")).map(({ row }) => row).sort((a, b) => Number(a["id"]) - Number(b["id"])),
        [
          { id: 1n, name: null, at: 1, fresh: 0.5 },
          { id: 2n, name: null, at: 2, fresh: null },
        ],
      );
      assert.deepEqual(await stamps(harness, "things"), { "1": "2", "2": "1" });
      await sync(harness, { tables: [things], kind: "full", sync: 3 }, [upsert(things, [1n, "uno", 1], [2n, null, 2])]);
      assert.deepEqual(await live(harness, things), [
        [1n, "uno", 1],
        [2n, null, 2],
      ]);
    },
  },
  {
    name: "a column called rowid may come in the middle of a first pass: the last row of each key stays (case 16)",
    async run(harness) {
      const wider = tableOf("things", { id: "LONG", name: "STRING", at: "INT", rowid: "LONG" }, ["id"]);
      await sync(harness, { tables: [things], kind: "full", sync: 1 }, [
        upsert(things, [1n, "old", 1], [2n, "two", 1], [1n, "new", 1]),
        { kind: "schema", table: wider },
        upsert(wider, [2n, "zwei", 1, 9n], [3n, "three", 1, 7n], [3n, "drei", 1, -7n]),
      ]);
      assert.deepEqual(await live(harness, wider), [
        [1n, "new", 1, null],
        [2n, "zwei", 1, 9n],
        [3n, "drei", 1, -7n],
      ]);
    },
  },
  {
    name: "texts and names that look like placeholders are what they are (case 16)",
    async run(harness) {
      const texts = ["{DATA}", "$1", "?", "%s", "${X}", "{{ x }}", ":x", "@x", "{0}", "\\N", "\\.", "NULL"];
      const table = tableOf("placeholders", { id: "STRING", "$1 ? {{ %s": "STRING" }, ["id"]);
      for (const number of [1, 2]) {
        await sync(harness, { tables: [table], kind: "full", sync: number }, [
          upsert(table, ...texts.map((text): [string, string] => [text, `${text} ${number}`])),
        ]);
        const rows = (await live(harness, table)).map(([id, value]) => [id, value]);
        assert.deepEqual(rows.sort(), texts.map((text) => [text, `${text} ${number}`]).sort());
      }
    },
  },
  {
    name: "a column that a user added to the copy is left alone",
    async run(harness) {
      await fill(harness, things, [[1n, "one", 1]]);
      await harness.tamper(`ALTER TABLE ${schema}.things ADD COLUMN note VARCHAR`);
      await harness.tamper(`UPDATE ${schema}.things SET note = 'mine'`);
      await sync(harness, { tables: [things], kind: "full", sync: 2 }, [
        upsert(things, [1n, "one", 1], [2n, "two", 1]),
      ]);
      const notes = (await copied(harness, "things")).map(({ row }) => [row["id"], row["note"]]);
      assert.deepEqual(notes.sort(), [
        [1n, "mine"],
        [2n, null],
      ]);
    },
  },
  {
    name: "every type widens, exactly, and stays wide",
    async run(harness) {
      const all = widenings.map(([from, to, before, after], at) => {
        const [narrow, wide] = [from, to].map((name) =>
          tableOf(`${at}: ${from} to ${to}`, { id: "INT", v: name }, ["id"]),
        );
        const rows = (values: readonly Cell[]): Cell[][] => values.map((value, id) => [id, value]);
        return { narrow: narrow!, wide: wide!, before: rows(before), after: rows(after) };
      });
      const narrow = all.map((one) => one.narrow);
      const wide = all.map((one) => one.wide);
      const narrowRows = all.map((one) => upsert(one.narrow, ...one.before));
      const wideRows = all.map((one) => upsert(one.wide, ...one.after));
      const none = new Map(wide.map(({ id }) => [id, { inserted: 0, updated: 0, deleted: 0 }]));
      const stays = async (way: string): Promise<void> => {
        for (const one of all) assert.deepEqual(await live(harness, one.wide), one.after, `${one.wide.id}, ${way}`);
      };
      await sync(harness, { tables: narrow, kind: "full", sync: 1 }, narrowRows);
      assert.deepEqual(await sync(harness, { tables: wide, kind: "full", sync: 2 }, wideRows), none);
      await stays("widened");
      assert.deepEqual(await sync(harness, { tables: narrow, kind: "full", sync: 3 }, narrowRows), none);
      await stays("read narrow again");
      await sync(harness, { tables: narrow, kind: "window", sync: 4 }, narrowRows);
      await stays("merged");
    },
  },
  {
    name: "a key column may widen",
    async run(harness) {
      const narrow = tableOf("wide", { id: "INT", v: "STRING" }, ["id"]);
      const wide = tableOf("wide", { id: "STRING", v: "STRING" }, ["id"]);
      await fill(harness, narrow, [
        [1, "one"],
        [2, "two"],
      ]);
      await sync(harness, { tables: [wide], kind: "full", sync: 2 }, [upsert(wide, ["1", "one"], ["x", "new"])]);
      assert.deepEqual(await stamps(harness, "wide"), { "1": "1", "2": "2 deleted", x: "2" });
    },
  },
  {
    name: "schema operations of splits unite: in the copy, in what is set aside, in the stored pass",
    async run(harness) {
      const base = tableOf("docs", { id: "STRING", a: "INT" }, ["id"]);
      const wider = tableOf("docs", { id: "STRING", a: "STRING" }, ["id"]);
      const more = tableOf("docs", { id: "STRING", b: "BOOLEAN" }, ["id"]);
      const all = tableOf("docs", { id: "STRING", a: "STRING", b: "BOOLEAN" }, ["id"]);
      for (const [n, kind] of [
        [1, "full"],
        [2, "full"],
        [3, "window"],
      ] as const) {
        const pass = passOf(`pass ${n}`, kind, [base], syncAt(n));
        await holding(harness, async (warehouse, lease) => {
          await transact(warehouse, lease, syncAt(n), async (transaction) => {
            await transaction.open(pass);
            await transaction.write(pass, left(pass), upsert(base, ["a", n]));
            await transaction.write(pass, left(pass), { kind: "schema", table: wider });
            await transaction.write(pass, left(pass), upsert(wider, ["b", `text ${n}`]));
          });
          await transact(warehouse, lease, syncAt(n), async (transaction) => {
            await transaction.write(pass, pass.splits[1]!, { kind: "schema", table: more });
            await transaction.write(pass, pass.splits[1]!, upsert(more, ["c", n % 2 === 0]));
            await transaction.write(pass, left(pass), upsert(base, ["d", n]));
          });
          const [stored] = (await warehouse.load()).passes;
          const columns = stored!.tables[0]!.columns.map(({ name, type }) => [name, typeName(type)]);
          assert.deepEqual(columns, [
            ["id", "STRING"],
            ["a", "STRING"],
            ["b", "BOOLEAN"],
          ]);
          await transact(warehouse, lease, syncAt(n), (transaction) => transaction.close(pass, statesOf(pass)));
        });
        assert.deepEqual(await live(harness, all), [
          ["a", String(n), null],
          ["b", `text ${n}`, null],
          ["c", null, n % 2 === 0],
          ["d", String(n), null],
        ]);
      }
    },
  },
  {
    name: "names are kept as they are, whatever they hold",
    async run(harness) {
      const columns = Object.fromEntries([...awkward.map((name) => [name, "STRING"]), ["n", "INT"]]);
      const tables = awkward.map((name, index) => tableOf(name, columns, [name, awkward.at(index - 1)!]));
      const values = (id: string): string[] => awkward.map((column) => `${column} of ${id}`);
      for (const [index, kind] of (["full", "full", "window"] as const).entries()) {
        const written = tables.map((table) => upsert(table, [...values(table.id), index]));
        await sync(harness, { tables, kind, sync: index + 1 }, written);
      }
      const updated = tables.map((table, index) => {
        const keys = table.key.map((name) => values(table.id)[awkward.indexOf(name)]!);
        return some("update", table, [...table.key, "n"], [...keys, index]);
      });
      await sync(harness, { tables, kind: "stream", sync: 4 }, updated);
      await holding(harness, async (warehouse) => {
        for (const table of tables) {
          await using comparison = await warehouse.compare(table);
          assert.equal((await comparison.digested()).copy, 1);
        }
      });
      for (const [index, table] of tables.entries())
        assert.deepEqual(await live(harness, table), [[...values(table.id), index]]);
    },
  },
  {
    name: "names that differ only by case are kept apart, or refused and named",
    async run(harness) {
      const upper = tableOf("things", { id: "INT", Name: "STRING", name: "STRING" }, ["id"]);
      const shouting = { ...things, id: "THINGS" };
      const later = tableOf("things", { id: "LONG", NAME: "STRING" }, ["id"]);
      if (harness.tellsCase === true) {
        await fill(harness, upper, [[1, "upper", "lower"]]);
        await fill(harness, shouting, [[2n, "two", 1]]);
        await sync(harness, { tables: [later], kind: "full", sync: 2 }, [upsert(later, [1n, "shouted"])]);
        const [row] = await copied(harness, "things");
        assert.deepEqual(row!.row, { id: 1n, Name: null, name: null, NAME: "shouted" });
        assert.deepEqual(await live(harness, shouting), [[2n, "two", 1]]);
        return;
      }
      await rejectsWith("NAMES_COLLIDE", fill(harness, upper, []), "Name");
      await fill(harness, things, []);
      await rejectsWith("NAMES_COLLIDE", fill(harness, shouting, []), "THINGS");
      await fill(harness, shouting, [[1n, "one", 1]], { rename: { THINGS: "other_things" } });
      assert.equal((await live(harness, { ...things, id: "other_things" })).length, 1);
      await rejectsWith("NAMES_COLLIDE", sync(harness, { tables: [later], kind: "full", sync: 2 }, []), "NAME");
    },
  },
  {
    name: "a column with the name of a system column is refused; another prefix lets it through",
    async run(harness) {
      const name = harness.tellsCase === true ? "_headwaters_deleted" : "_headwaters_DELETED";
      const table = tableOf("things", { id: "LONG", [name]: "STRING" }, ["id"]);
      await rejectsWith("NAMES_COLLIDE", fill(harness, table, []), name);
      await fill(harness, table, [[1n, "x"]], { systemColumnPrefix: "_fivetran" });
      const [row] = await copied(harness, "things", "_fivetran");
      assert.deepEqual([row!.row, row!.deleted], [{ id: 1n, [name]: "x" }, false]);
    },
  },
  {
    name: "a copy with another system column prefix is refused",
    async run(harness) {
      await fill(harness, things, [[1n, "one", 1]]);
      const given = { systemColumnPrefix: "_fivetran" };
      const again = sync(harness, { tables: [things], kind: "full", sync: 2, given }, []);
      await rejectsWith("DESTINATION_UNUSABLE", again, "systemColumnPrefix");
    },
  },
  {
    name: "a renamed table is known by its id",
    async run(harness) {
      const given = { rename: { things: 'The "things"' } };
      await fill(harness, things, [[1n, "one", 1]], given);
      await sync(harness, { tables: [things], kind: "window", sync: 2, given }, [upsert(things, [1n, "uno", 2])]);
      await holding(
        harness,
        async (warehouse) => {
          assert.equal(await warehouse.count("things"), 1);
          assert.deepEqual([...(await warehouse.load()).tables.keys()], ["things"]);
        },
        given,
      );
      assert.deepEqual(await live(harness, { ...things, id: 'The "things"' }), [[1n, "uno", 2]]);
      assert.equal(await harness.readBack(schema, "things"), null);
    },
  },
  {
    name: "the bookkeeping's own schema is refused",
    async run(harness) {
      await rejectsWith("CONFIGURATION_INVALID", fill(harness, things, [], { schema: "_Headwaters" }), "schema");
    },
  },
];
