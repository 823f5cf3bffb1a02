import { expect, test } from "vitest";
import type { Json } from "../../../src/protocol/json.ts";
import { term } from "../../../src/wire/reql/terms.ts";
import { describeWith } from "../../servers/require.ts";
import { startRethinkdb } from "../../servers/rethinkdb.ts";
import { openSource, planOf, readPass, tableOf, time } from "./reading.ts";

const hour = 3_600_000;

await describeWith(startRethinkdb, "timestamps of RethinkDB", (server) => {
  /** One moment in every form that applications write. */
  function forms(milliseconds: number): Record<string, Json> {
    const iso = new Date(milliseconds).toISOString();
    const inZone = (hours: number, zone: string): string =>
      `${new Date(milliseconds + hours * hour).toISOString().slice(0, 19)}${zone}`;
    return {
      time: time(iso, "-07:00"),
      seconds: milliseconds / 1_000,
      milliseconds,
      microseconds: milliseconds * 1_000,
      utc: iso,
      east: inZone(14, "+14:00"),
      west: inZone(-12, "-1200"),
      space: inZone(0, "").replace("T", " "),
    };
  }

  async function fill(name: string, indexed: boolean): Promise<{ recent: string[] }> {
    const now = Date.now();
    await server.createTable(name);
    const of = (age: string, milliseconds: number): Json[] =>
      Object.entries(forms(milliseconds)).map(([form, updated_at]) => ({ id: `${age} ${form}`, updated_at }));
    await server.insert(name, [
      ...of("old", now - 40 * 24 * hour),
      ...of("recent", now - hour),
      ...of("future", now + 400 * 24 * hour),
      { id: "null", updated_at: null },
      { id: "missing" },
      ...[true, [now], { at: now }, "yesterday", ""].map((updated_at, n) => ({ id: `other ${n}`, updated_at })),
    ]);
    if (indexed) {
      await server.run(term("INDEX_CREATE", [server.table(name), "updated_at"]));
      await server.run(term("INDEX_WAIT", [server.table(name)]));
    }
    return { recent: Object.keys(forms(0)).flatMap((form) => [`recent ${form}`, `future ${form}`]) };
  }

  test.each([
    ["over the whole table", false],
    ["through an index", true],
  ])("a window finds every form of a moment, %s", async (_how, indexed) => {
    const { recent } = await fill("forms", indexed);
    await using source = await openSource(server);
    const table = await tableOf(source, "forms");
    expect(table.cursor).toBe("updated_at");
    expect(table.notes.join(" ")).toContain(
      `In 7 of 31 documents of the sample "updated_at" is missing or not a moment`,
    );
    expect(table.notes.some((note) => note.includes("through the index"))).toBe(indexed);
    const window = await planOf(source, table, "window", { forms: { since: Date.now() - 2 * hour } });
    const { rows } = await readPass(source, window);
    expect([...rows.keys()].sort()).toEqual(recent.sort());
    // A window that begins earlier than anything finds all that tells a moment.
    const all = await planOf(source, table, "window", { forms: { since: Date.UTC(2000, 0, 1) } });
    expect((await readPass(source, all)).rows.size).toBe(3 * Object.keys(forms(0)).length);
  });

  test("a version is the moment, in whatever form it stands; else a digest of the document", async () => {
    await fill("forms", false);
    await using source = await openSource(server);
    const table = await tableOf(source, "forms");
    const full = await readPass(source, await planOf(source, table, "full"));
    const swept = await readPass(source, await planOf(source, table, "keys"));
    const versions = ({ rows }: typeof full): Record<string, unknown> =>
      Object.fromEntries([...rows].map(([key, row]) => [key, row["_headwaters_version"]]));
    expect(versions(swept)).toEqual(versions(full));
    expect([...swept.rows.values()].every((row) => Object.keys(row).length === 2)).toBe(true);
    for (const age of ["old", "future"]) {
      const moments = Object.keys(forms(0)).map((form) => String(versions(full)[`${age} ${form}`]).slice(0, 19));
      expect(new Set(moments).size, moments.join()).toBe(1);
    }
    expect(versions(full)["missing"]).toMatch(/^md5 [0-9a-f]{32}$/);
    await server.insert("forms", [{ id: "missing", more: 1 }]);
    const later = await readPass(source, await planOf(source, table, "keys"));
    const changed = Object.keys(versions(later)).filter((key) => versions(later)[key] !== versions(full)[key]);
    expect(changed).toEqual(["missing"]);
  });

  test("the first of the known fields that tells a moment is the cursor, wherever it is", async () => {
    const at = "2024-05-17T00:00:00Z";
    for (const [documents, cursor] of [
      [[{ id: 1, created_at: at, updated_at: at }], "updated_at"],
      [
        [
          { id: 1, created_at: at },
          { id: 2, modified_at: at },
        ],
        "modified_at",
      ],
      [[{ id: 1, updated_at: "soon", timestamp: 1_700_000_000 }], "timestamp"],
      [[{ id: 1, last_modified: at }], "last_modified"],
      [[{ id: 1, updated_at: null }], null],
      [[{ id: 1, name: at }], null],
    ] as const) {
      await server.createTable("fields");
      await server.insert("fields", documents as unknown as Json[]);
      await using source = await openSource(server);
      const table = await tableOf(source, "fields");
      expect([table.cursor, table.version]).toEqual([cursor, cursor === null ? null : "_headwaters_version"]);
    }
  });

  test.each(["created_at", "timestamp"])(
    "%s may tell only when a document was made: it is no version",
    async (field) => {
      await server.createTable("made");
      await server.insert("made", [{ id: 1, [field]: time("2024-05-17T00:00:00Z"), v: 1 }]);
      await using source = await openSource(server);
      const table = await tableOf(source, "made");
      expect([table.cursor, table.notes.join(" ")]).toEqual([field, expect.stringContaining("found by sweeps")]);
      const versionOf = async (): Promise<unknown> =>
        (await readPass(source, await planOf(source, table, "keys"))).rows.get("1")!["_headwaters_version"];
      const before = await versionOf();
      await server.run(term("UPDATE", [term("GET", [server.table("made"), 1]), { v: 2 }]));
      expect(await versionOf()).not.toBe(before);
    },
  );

  test("an index of another function, or that is not ready, is not used", async () => {
    await fill("forms", false);
    const row = term("VAR", [1]);
    const other = term("FUNC", [term("MAKE_ARRAY", [1]), term("BRACKET", [row, "id"])]);
    await server.run(term("INDEX_CREATE", [server.table("forms"), "updated_at", other]));
    await server.run(term("INDEX_WAIT", [server.table("forms")]));
    await using source = await openSource(server);
    const table = await tableOf(source, "forms");
    const window = await planOf(source, table, "window", { forms: { since: Date.now() } });
    expect(window.splits).toHaveLength(1);
  });
});
