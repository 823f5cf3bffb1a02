import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { term } from "../../../src/wire/reql/terms.ts";
import { type OwnRethink, startOwnRethinkdb } from "../../servers/rethinkdb.ts";
import { Copy, openSource, planOf, readPass, signal, tableOf, fast, time } from "./reading.ts";

describe("what RethinkDB is asked for", () => {
  let server: OwnRethink;
  const old = time("2024-05-17T00:00:00Z");
  const since = { t: { since: Date.UTC(2024, 0, 1) } };

  beforeAll(async () => {
    server = await startOwnRethinkdb({ indexDelay: 60_000 });
    await server.createTable("t");
    await server.insert("t", [
      { id: 1, updated_at: old },
      { id: 2, updated_at: old },
    ]);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("an index that is not ready is not read", async () => {
    await server.run(term("INDEX_CREATE", [server.table("t"), "updated_at"]));
    await using source = await openSource(server);
    const window = await planOf(source, await tableOf(source, "t"), "window", since);
    expect(window.splits).toHaveLength(1);
    expect((await readPass(source, window)).rows.size).toBe(2);
    await server.run(term("INDEX_DROP", [server.table("t"), "updated_at"]));
  });

  test("sweeps and look-ups ask a majority, whatever read_mode says", async () => {
    const asked: string[] = [];
    await using source = await openSource(server, { configuration: { read_mode: "outdated" } });
    const table = await tableOf(source, "t");
    server.server.behaviour.onQuery = (query) => void asked.push(JSON.stringify(query));
    const modes = (): string[] => asked.splice(0).flatMap((query) => /"read_mode":"(\w+)"/.exec(query)?.[1] ?? []);
    const full = await planOf(source, table, "full");
    await readPass(source, full);
    expect(modes()).toEqual(["outdated"]);
    await readPass(source, await planOf(source, table, "keys"));
    expect(modes()).toEqual(["majority"]);
    for await (const operation of source.read(full, full.splits[0]!, null, fast)) {
      if (operation.kind !== "upsert") continue;
      modes();
      for await (const _rows of source.lookup(table, operation.rows, fast)) signal.throwIfAborted();
      expect(modes()).toEqual(["majority"]);
    }
    server.server.behaviour.onQuery = null;
  });
});

describe("an index of RethinkDB that goes", () => {
  test("between the planning and the reading of a window: it is planned anew without it", async () => {
    await using server = await startOwnRethinkdb();
    await server.createTable("t");
    await server.run(term("INDEX_CREATE", [server.table("t"), "updated_at"]));
    await server.insert("t", [{ id: 1, updated_at: time("2024-05-17T00:00:00Z") }]);
    await using copy = await Copy.make();
    await copy.sync(server);
    await server.insert("t", [{ id: 2, updated_at: time(new Date().toISOString()) }]);
    let dropped: Promise<unknown> | null = null;
    const run = (
      await copy.sync(server, {
        engine: { deletes: "never" },
        report: (event) => {
          if (event.kind === "pass") dropped ??= server.run(term("INDEX_DROP", [server.table("t"), "updated_at"]));
        },
      })
    )["t"]!;
    await dropped;
    expect(run).toMatchObject({ outcome: "whole", error: null, inserted: 1 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });
});
