import { describe, expect, test } from "vitest";
import type { Table } from "../../src/protocol/table.ts";
import { Copy, expected } from "./harness.ts";
import { filled } from "./memory-source.ts";

const slow = { timeout: 120_000 };

describe("the delete limit", () => {
  test("a wipe of the source stops the table, until the user agrees", slow, async () => {
    const source = filled(20);
    await using copy = await Copy.make();
    await copy.sync(source);
    source.tables.set("t", new Map());
    const stopped = await copy.sync(source, { settings: { maxDeleteFraction: 0.999 } });
    expect(stopped.outcome).toBe("failed");
    expect(stopped.tables[0]!.error?.code).toBe("DELETES_STOPPED");
    expect(Object.keys(await copy.rows())).toHaveLength(20);
    const agreed = await copy.sync(source, { acceptDeletes: true });
    expect(agreed).toMatchObject({ outcome: "succeeded", tables: [{ deleted: 20 }] });
    expect(await copy.rows()).toEqual({});
  });

  test(
    "more deletes than maxDeleteFraction stop the table, and nothing is lost when the rows come back",
    slow,
    async () => {
      const source = filled(20);
      await using copy = await Copy.make();
      await copy.sync(source);
      for (let id = 1; id <= 11; id++) source.remove("t", id);
      const settings = { maxDeleteFraction: 0.5 };
      expect((await copy.sync(source, { settings })).tables[0]!.error?.message).toContain("11 of 20 rows");
      for (let id = 1; id <= 10; id++) source.put("t", id, `row ${id}`);
      expect((await copy.sync(source, { settings })).tables[0]).toMatchObject({ outcome: "whole", deleted: 1 });
      expect(await copy.rows()).toEqual(expected(source));
    },
  );

  test("a wipe stops the table also where its key is another now", slow, async () => {
    const source = filled(10);
    await using copy = await Copy.make();
    await copy.sync(source);
    source.shapes.set("t", { identity: "2", key: ["name"] });
    source.tables.get("t")!.clear();
    const settings = { maxDeleteFraction: 0.999 };
    expect((await copy.sync(source, { settings })).tables[0]!.error?.message).toContain("none of the 10 rows");
    expect(Object.keys(await copy.rows())).toHaveLength(10);
    expect((await copy.sync(source, { acceptDeletes: true })).outcome).toBe("succeeded");
    expect(await copy.rows()).toEqual({});
  });

  const reads: readonly (readonly [string, Partial<Table>])[] = [
    ["windows and sweeps", {}],
    ["sweeps alone", { cursor: null }],
    ["full passes", { cursor: null, version: null }],
  ];

  test.each(reads)(
    "(case 41) a table of other rows stops, however often it is synced, by %s; its new rows arrive",
    slow,
    async (_, shape) => {
      const source = filled(20);
      source.shapes.set("t", shape);
      await using copy = await Copy.make();
      await copy.sync(source);
      for (let id = 1; id <= 20; id++) source.remove("t", id);
      for (let id = 101; id <= 120; id++) source.put("t", id, `other ${id}`);
      const settings = { maxDeleteFraction: 0.5 };
      for (let again = 1; again <= 3; again++) {
        source.put("t", 120 + again, `later ${again}`);
        const { outcome, error } = (await copy.sync(source, { settings })).tables[0]!;
        expect([outcome, error?.code]).toEqual(["failed", "DELETES_STOPPED"]);
        expect(error!.message).toContain("none of the 20 rows");
        expect(Object.keys(await copy.rows())).toHaveLength(40 + again);
      }
      expect((await copy.sync(source, { settings, acceptDeletes: true })).tables[0]).toMatchObject({ deleted: 20 });
      expect(await copy.rows()).toEqual(expected(source));
      // The limit is a part of the new rows from now on.
      for (let id = 101; id <= 110; id++) source.remove("t", id);
      expect((await copy.sync(source, { settings })).tables[0]).toMatchObject({ outcome: "whole", deleted: 10 });
    },
  );

  test.each(reads)("(case 26) a limit of 1 allows a full replacement and a wipe, by %s", slow, async (_, shape) => {
    const source = filled(20);
    source.shapes.set("t", shape);
    await using copy = await Copy.make();
    await copy.sync(source);
    const settings = { maxDeleteFraction: 1 };
    source.tables.set("t", new Map());
    for (let id = 101; id <= 110; id++) source.put("t", id, `other ${id}`);
    expect((await copy.sync(source, { settings })).tables[0]).toMatchObject({ outcome: "whole", deleted: 20 });
    expect(await copy.rows()).toEqual(expected(source));
    source.tables.set("t", new Map());
    expect((await copy.sync(source, { settings })).tables[0]).toMatchObject({ outcome: "whole", deleted: 10 });
    expect(await copy.rows()).toEqual({});
  });

  test("(case 26) a sweep that was interrupted has the limit of its beginning", slow, async () => {
    const source = filled(20);
    await using copy = await Copy.make();
    await copy.sync(source);
    for (let id = 1; id <= 11; id++) source.remove("t", id);
    const settings = { maxDeleteFraction: 0.5 };
    const stop = new AbortController();
    let sweeping = false;
    let operations = 0;
    source.onOperation = () => {
      if (sweeping && ++operations === 3) stop.abort();
    };
    const first = await copy.sync(source, { settings, signal: stop.signal }, (event) => {
      if (event.kind === "pass") sweeping = event.pass === "keys";
    });
    expect(first.outcome).toBe("stopped");
    source.onOperation = () => {};
    for (let id = 201; id <= 240; id++) source.put("t", id, `new ${id}`);
    const { error } = (await copy.sync(source, { settings })).tables[0]!;
    expect(error?.message).toContain("11 of 20 rows");
    expect(Object.keys(await copy.rows())).toHaveLength(60);
  });

  test("the sweep after a first pass that spanned runs has the limit of the whole copy (case 26)", slow, async () => {
    const source = filled(60);
    await using copy = await Copy.make();
    const settings = { maxDeleteFraction: 0.5, commitRows: 1 };
    const stop = new AbortController();
    source.onOperation = (count) => {
      if (count === 12) stop.abort();
    };
    expect((await copy.sync(source, { settings, signal: stop.signal })).outcome).toBe("stopped");
    const held = Object.keys(await copy.rows()).length;
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThan(25);
    source.onOperation = () => {};
    // The full pass has read them: only the sweep finds that they are gone.
    const run = await copy.sync(source, { settings }, (event) => {
      if (event.kind === "pass" && event.pass === "window") for (let id = 1; id <= held; id++) source.remove("t", id);
    });
    expect(run.tables[0]).toMatchObject({ passes: ["full", "window", "keys"], outcome: "whole", deleted: held });
    expect(await copy.rows()).toEqual(expected(source));
  });

  test("rows of a table without a key may all be others, but not far fewer", slow, async () => {
    const source = filled(10);
    source.shapes.set("t", { key: [], cursor: null, version: null });
    await using copy = await Copy.make();
    const settings = { maxDeleteFraction: 0.5 };
    await copy.sync(source, { settings });
    for (let id = 1; id <= 10; id++) source.put("t", id, `changed ${id}`);
    expect((await copy.sync(source, { settings })).outcome).toBe("succeeded");
    expect(await copy.rows()).toEqual(expected(source));
    for (let id = 1; id <= 6; id++) source.remove("t", id);
    expect((await copy.sync(source, { settings })).tables[0]!.error?.message).toContain("6 of 10 rows");
  });
});
