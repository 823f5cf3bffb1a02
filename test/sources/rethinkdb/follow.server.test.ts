import { beforeEach, describe, expect, test } from "vitest";
import { verify } from "../../../src/engine/commands/verify.ts";
import type { Json } from "../../../src/protocol/json.ts";
import { definition } from "../../../src/sources/rethinkdb/index.ts";
import { term } from "../../../src/wire/reql/terms.ts";
import { FollowedCopy, soon, type Wrapped } from "../../engine/followed.ts";
import { Copy } from "../../engine/harness.ts";
import { type OwnRethink, startOwnRethinkdb } from "../../servers/rethinkdb.ts";
import { openSource, signal, time } from "./reading.ts";

const { capabilities } = definition;

let server: OwnRethink;
beforeEach(async () => {
  server = await startOwnRethinkdb();
  await server.createTable("t");
  await server.insert("t", [
    { id: 1, name: "a" },
    { id: 2, name: "a" },
  ]);
  return () => server[Symbol.asyncDispose]();
});

interface How extends Wrapped {
  readonly settings?: Readonly<Record<string, unknown>>;
}

class Followed extends FollowedCopy {
  constructor(copy: Copy, { settings, ...wrapped }: How = {}) {
    const configuration = { changes: "stream", read_timeout: 2, ...settings };
    const open = ({ warnings }: { warnings: string[] }) =>
      openSource(server, { configuration, warnings, follows: true });
    super(copy, capabilities, open, wrapped);
  }
}

const put = (id: Json, name: string, more: Record<string, Json> = {}, table = "t"): Promise<void> =>
  server.insert(table, [{ id, name, ...more }]);
const remove = (id: Json, table = "t"): Promise<Json> =>
  server.run(term("DELETE", [term("GET", [server.table(table), id])]));

async function verdict(copy: Copy): Promise<string> {
  await using source = await openSource(server, { configuration: { changes: "stream" } });
  await using warehouse = await copy.open();
  const report = await verify(copy.connection(source, warehouse, { capabilities }), { signal }, () => {});
  return report.verdict;
}

/** A table with a timestamp, so that a window and a sweep show what changed. */
async function putStamped(id: Json, name: string): Promise<void> {
  await put(id, name, { updated_at: time(new Date().toISOString()) }, "stamped");
}

describe("a database that is followed", { timeout: 60_000 }, () => {
  test("shows changes soon, and those of a table that is made meanwhile; a stop is whole", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(copy);
    await following.expectRows({ 1: "a", 2: "a" });
    await put(1, "b");
    await remove(2);
    await put(3, "c", { more: 5 });
    await following.expectRows({ 1: "b", 3: "c" });
    expect(await copy.query("SELECT more FROM s.t WHERE id = 3")).toEqual([{ more: 5 }]);
    await put(2, "again");
    await server.run(term("DELETE", [server.table("t")]));
    await put(7, "x");
    await following.expectRows({ 7: "x" });
    expect(following.passes().filter((pass) => pass !== "stream")).toEqual(["full"]);
    expect(following.warnings).toBe("");
    const record = await following.stop();
    expect(record.tables).toMatchObject([{ table: "t", outcome: "whole" }]);
    expect(await verdict(copy)).toBe("CONVERGED");
  });

  test("keys of every type, and values that need other columns", async () => {
    await server.createTable("keys");
    await server.insert("keys", [{ id: "a", name: "text" }]);
    await server.createTable("moments");
    await server.insert("moments", [{ id: time("2024-01-01T00:00:00Z"), name: "first" }]);
    await using copy = await Copy.make();
    await using following = new Followed(copy);
    await following.expectRows({ 1: "a", 2: "a" });
    const texts = (): Promise<unknown> =>
      copy.query("SELECT id, name FROM s.keys WHERE NOT _headwaters_deleted ORDER BY id").catch(String);
    await expect.poll(texts, soon).toEqual([{ id: "a", name: "text" }]);
    // The time is the same in another zone.
    await server.insert("moments", [{ id: time("2024-01-01T00:00:00Z", "+02:00"), name: "other zone" }]);
    await server.insert("moments", [{ id: time("2024-01-02T00:00:00Z"), name: "second" }]);
    await remove(time("2024-01-01T00:00:00Z", "+05:00"), "moments");
    await put("b", "new", {}, "keys");
    await remove("a", "keys");
    await expect.poll(texts, soon).toEqual([{ id: "b", name: "new" }]);
    await expect
      .poll(() => copy.query("SELECT name FROM s.moments WHERE NOT _headwaters_deleted").catch(String), soon)
      .toEqual([{ name: "second" }]);
    // Another type of key: the table is read again, with keys as JSON.
    await put(5, "number", {}, "keys");
    await expect.poll(texts, soon).toEqual(
      [
        { id: `"b"`, name: "new" },
        { id: "5", name: "number" },
      ].sort((a, b) => (a.id < b.id ? -1 : 1)),
    );
    await following.stop();
    expect(await verdict(copy)).toBe("CONVERGED");
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "a reconfiguration",
      () => server.run(term("RECONFIGURE", [server.table("stamped")])),
      /feed of table "stamped" broke/,
    ],
    ["a rebalance", () => server.run(term("REBALANCE", [server.table("stamped")])), /feed of table "stamped" broke/],
    ["a query that was killed", async () => server.server.killFeeds(), /feed of table "stamped" broke/],
    ["a restart, with refusals after it", () => server.server.restart(), /the change feeds broke/],
  ])("%s: what changed meanwhile is found by a window and a sweep", async (_, broken, said) => {
    await server.createTable("stamped");
    for (const id of [1, 2, 3]) await putStamped(id, "a");
    await using copy = await Copy.make();
    await using following = new Followed(copy);
    await following.expectRows({ 1: "a", 2: "a", 3: "a" }, "stamped");
    const writing = (async () => {
      for (let round = 0; round < 20; round++) {
        await putStamped(1, `r${round}`).catch(() => putStamped(1, `r${round}`));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    await broken();
    await writing;
    await remove(2, "stamped");
    await following.expectRows({ 1: "r19", 3: "a" }, "stamped");
    await putStamped(9, "live");
    await following.expectRows({ 1: "r19", 3: "a", 9: "live" }, "stamped");
    expect(following.warnings).toMatch(said);
    const other = following.passes("stamped").filter((pass) => pass !== "stream");
    expect(other.slice(0, 3)).toEqual(["full", "window", "keys"]);
    await following.expectRows({ 1: "a", 2: "a" });
    await following.stop();
    expect(await verdict(copy)).toBe("CONVERGED");
  });

  test("a full buffer of the server: the table is looked through, and no change is lost", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(copy);
    await following.expectRows({ 1: "a", 2: "a" });
    // All changes of one query come before the feed's client is served: more than the server's buffer holds.
    await server.insert(
      "t",
      Array.from({ length: 5 }, (_, id) => ({ id: 10 + id, name: "few" })),
    );
    await expect.poll(() => copy.rows().then(Object.keys, String), soon).toHaveLength(7);
    const table = server.server.behaviour.store.databases.get(server.database)!.tables.get("t")!;
    for (let id = 0; id < 100_500; id++) table.put({ id: 1_000 + id, name: "n" });
    await expect
      .poll(() => copy.query("SELECT count(*)::INT AS n FROM s.t WHERE NOT _headwaters_deleted").catch(String), soon)
      .toEqual([{ n: 100_507 }]);
    expect(following.warnings).toMatch(/Changefeed cache over array size limit, skipped \d+ elements/);
    await put(1, "on");
    await expect
      .poll(() => copy.query("SELECT name FROM s.t WHERE id = 1").catch(String), soon)
      .toEqual([{ name: "on" }]);
  });

  test("a table that is dropped fails alone; made again, it is read whole", async () => {
    await server.createTable("u");
    await put(1, "a", {}, "u");
    await using copy = await Copy.make();
    await using following = new Followed(copy);
    await following.expectRows({ 1: "a" }, "u");
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "u"]));
    await expect
      .poll(
        () =>
          following.events.flatMap((event) =>
            event.kind === "finished" && event.error !== null ? event.error.code : [],
          ),
        soon,
      )
      .toContain("TABLE_UNKNOWN");
    await put(1, "b");
    await following.expectRows({ 1: "b", 2: "a" });
    // Its copy is left as it is.
    await following.expectRows({ 1: "a" }, "u");
  });

  test("a revoked right fails the table alone, until it is granted again", async () => {
    await server.createTable("u");
    await put(1, "a", {}, "u");
    await server.run(
      term("INSERT", [term("TABLE", [term("DB", ["rethinkdb"]), "users"]), { id: "reader", password: "s" }]),
    );
    const database = term("DB", [server.database]);
    await server.run(term("GRANT", [database, "reader", { read: true }]));
    await using copy = await Copy.make();
    const settings = { username: "reader", password: "s" };
    await using following = new Followed(copy, { settings });
    await following.expectRows({ 1: "a" }, "u");
    await server.run(term("GRANT", [server.table("u"), "reader", { read: false }]));
    await put(1, "b", {}, "u");
    await put(1, "unseen", {}, "u");
    await put(1, "b");
    await following.expectRows({ 1: "b", 2: "a" });
    await expect
      .poll(() => following.events.filter((event) => event.kind === "finished" && event.error !== null).length, soon)
      .toBeGreaterThan(0);
    await server.run(term("GRANT", [server.table("u"), "reader", { read: null }]));
  });

  test("a server that is silent is noticed, and followed again", async () => {
    await using copy = await Copy.make();
    await using following = new Followed(copy);
    await following.expectRows({ 1: "a", 2: "a" });
    server.server.behaviour.frozen = true;
    await expect.poll(() => following.warnings, soon).toMatch(/the change feeds broke: .* does not answer/);
    server.server.behaviour.frozen = false;
    await put(1, "b");
    await following.expectRows({ 1: "b", 2: "a" });
  });

  test("a sync works as without feeds, and says so; tables may be followed one by one", async () => {
    const changes = { t: "stream", "*": "cursor" };
    await server.createTable("u");
    await using source = await openSource(server, { configuration: { changes } });
    const tables = await source.discover(signal);
    expect(
      tables.map(({ id, streamed, notes }) => [id, streamed, notes.join(" ").includes("headwaters follow")]),
    ).toEqual([
      ["t", undefined, true],
      ["u", undefined, false],
    ]);
    await using copy = await Copy.make();
    await copy.sync(source, { capabilities });
    await put(1, "b");
    await copy.sync(source, { capabilities });
    expect(await copy.rows()).toEqual({ 1: "b", 2: "a" });
    await using following = new Followed(copy, { settings: { changes } });
    await put(2, "c");
    await following.expectRows({ 1: "b", 2: "c" });
    await put(1, "late", {}, "u");
    await following.expectRows({ 1: "late" }, "u");
  });
});
