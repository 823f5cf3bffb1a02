import { expect, test } from "vitest";
import type { Json } from "../../../src/protocol/json.ts";
import { term } from "../../../src/wire/reql/terms.ts";
import { Workspace } from "../../cli/workspace.ts";
import { describeWith } from "../../servers/require.ts";
import { startRethinkdb } from "../../servers/rethinkdb.ts";
import { time } from "./reading.ts";

const long = { timeout: 60_000 };
const old = time("2024-05-17T00:00:00Z");

function now(): Json {
  return { $reql_type$: "TIME", epoch_time: Math.floor(Date.now()) / 1_000, timezone: "+00:00" };
}

await describeWith(startRethinkdb, "what is chosen of RethinkDB", (server) => {
  const { host, port, database, user: username, password } = server;
  const workspace = (): Promise<Workspace> =>
    Workspace.make({ type: "rethinkdb", host, port, database, username, password });
  const update = (name: string, key: Json, fields: Json) =>
    server.run(term("UPDATE", [term("GET", [server.table(name), key]), fields]));

  test("columns, a filter, other names: full, window, sweep and look-up agree", long, async () => {
    await server.createTable("users");
    await server.insert(
      "users",
      Array.from({ length: 600 }, (_, id) => ({
        id,
        status: ["active", "new", "gone"][id % 3]!,
        size: id % 5 === 0 ? `text ${id}` : id,
        debug_a: "a",
        secret: "s",
        updated_at: old,
      })),
    );
    await using space = await workspace();
    const override = {
      columns: { exclude: ["debug_*", "secret"], rename: { size: "amount" } },
      filter: { status: ["active", "new"], size: { gt: 100, le: 500 } },
      rename: "people",
    };
    await space.configure({ tables: ["users"], overrides: { users: override } });
    // 101 to 500 without every fifth, whose size is text, and without every third.
    const wanted = Array.from({ length: 400 }, (_, index) => index + 101).filter((id) => id % 5 !== 0 && id % 3 !== 2);
    expect((await space.sync())["users"]).toMatchObject({ outcome: "whole", inserted: wanted.length });
    expect(Object.keys((await space.rows("people"))[0]!).sort()).toEqual(["amount", "id", "status", "updated_at"]);

    await update("users", 102, { status: "gone", updated_at: now() });
    await update("users", 103, { status: "new", updated_at: now() });
    await update("users", 108, { secret: "another", debug_b: 1, updated_at: old });
    await update("users", 110, { size: 110, status: "active" });
    await server.insert("users", [{ id: 9_000, status: "new", size: 200, debug_c: 1, updated_at: now() }]);
    expect((await space.sync())["users"]).toMatchObject({ outcome: "whole", inserted: 2, updated: 1, deleted: 1 });
    expect((await space.sync())["users"]).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
    expect(Object.keys((await space.rows("people"))[0]!).sort()).toEqual(["amount", "id", "status", "updated_at"]);
    expect((await space.run("verify")).code).toBe(0);

    // What was copied under a name of before is no column of the source any more.
    const columns = { exclude: ["debug_*", "secret"], rename: { size: "quantity" } };
    await space.configure({ tables: ["users"], overrides: { users: { ...override, columns } } });
    expect((await space.sync("--accept-scope"))["users"]).toMatchObject({ outcome: "whole", passes: ["full"] });
    const [row] = await space.rows("people");
    expect(row).toMatchObject({ amount: null, quantity: String(row!["id"]) });
    expect((await space.run("verify")).code).toBe(0);
  });

  test("only what is named is read; a document's digest is of that alone", long, async () => {
    await server.createTable("notes");
    await server.insert("notes", [
      { id: 1, text: "one", secret: "s", created_at: old },
      { id: 2, text: "two", created_at: old },
    ]);
    await using space = await workspace();
    await space.configure({ tables: ["notes"], overrides: { notes: { columns: ["id", "text", "created_at"] } } });
    expect((await space.sync())["notes"]).toMatchObject({ outcome: "whole", inserted: 2 });
    await update("notes", 1, { secret: "changed", other: true });
    await update("notes", 2, { text: "zwei" });
    expect((await space.sync())["notes"]).toMatchObject({ outcome: "whole", inserted: 0, updated: 1 });
    expect(await space.rows("notes")).toEqual([
      expect.objectContaining({ id: 1, text: "one" }),
      expect.objectContaining({ id: 2, text: "zwei" }),
    ]);
    expect(Object.keys((await space.rows("notes"))[0]!).sort()).toEqual(["created_at", "id", "text"]);
    expect((await space.run("verify")).code).toBe(0);
  });

  test("a mistake in a filter is told before anything is read", long, async () => {
    await server.createTable("mistakes");
    await using space = await workspace();
    await space.configure({ tables: ["mistakes"], overrides: { mistakes: { filter: { size: { above: 1 } } } } });
    const { code, error } = await space.run("sync");
    expect([code, error]).toEqual([
      2,
      expect.stringContaining("overrides.mistakes.filter.size.above is no comparison"),
    ]);
  });
});
