import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Table } from "../protocol/table.ts";
import type { Type } from "../protocol/types.ts";
import { type Cell, rowsOf } from "../toolkit/vectors.ts";
import { RowDigests, keysOf, signatureOf } from "./row-digests.ts";
import { DigestStore } from "./digest-store.ts";

function tableOf(types: readonly Type[], estimatedRows: number | null = null, id = "t"): Table {
  const columns = types.map((type, index) => ({ name: `key ${index}`, type, nullable: false }));
  const key = columns.map(({ name }) => name);
  return { id, columns, key, identity: "", cursor: null, version: null, estimatedRows, notes: [] };
}

const text = tableOf([{ kind: "STRING" }]);

/** Meets rows whose only column is their key. */
function meetAll(memory: RowDigests, keys: readonly string[]): void {
  const rows = rowsOf(
    text.columns,
    keys.map((key) => [key]),
  );
  const keyOf = keysOf(text, rows);
  keys.forEach((key, row) => memory.meet(keyOf(row), Buffer.from(key), 0, key.length));
}

test("keys of all types come back as they were", () => {
  const cases: readonly (readonly [Type, fc.Arbitrary<Cell>])[] = [
    [{ kind: "BOOLEAN" }, fc.boolean()],
    [{ kind: "SHORT" }, fc.integer({ min: -32_768, max: 32_767 })],
    [{ kind: "LONG" }, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    [{ kind: "DECIMAL", precision: 38, scale: 4 }, fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n })],
    [{ kind: "DOUBLE" }, fc.double()],
    [{ kind: "UTC_DATETIME" }, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    [{ kind: "STRING" }, fc.string({ unit: "grapheme" })],
  ];
  const table = tableOf(cases.map(([type]) => type));
  const row = fc.tuple(...cases.map(([, value]) => value));
  fc.assert(
    fc.property(fc.uniqueArray(row, { maxLength: 40, comparator: "SameValueZero" }), (cells) => {
      const rows = rowsOf(table.columns, cells);
      const memory = new RowDigests(signatureOf(table));
      const keyOf = keysOf(table, rows);
      const keys = new Set(cells.map((_, index) => keyOf(index)));
      for (const key of keys) memory.meet(key, Buffer.from(key), 0, key.length);
      const later = RowDigests.parse(memory.json())!;
      expect(later.signature).toBe(memory.signature);
      later.begin();
      const gone = [...later.unmet(table)];
      const seen = gone.flatMap((batch) => {
        const keyOfGone = keysOf(table, batch);
        return Array.from({ length: batch.length }, (_, index) => keyOfGone(index));
      });
      expect(seen.sort()).toEqual([...keys].sort());
      for (const key of keys) expect(later.meet(key, Buffer.from(key), 0, key.length)).toBe(false);
      expect(later.unmetCount).toBe(0);
    }),
  );
});

test("a key that comes back is new, and one of which a part changed is sent again", () => {
  const memory = new RowDigests(signatureOf(text));
  meetAll(memory, ["a", "b"]);
  const meet = (key: string): boolean => memory.meet(JSON.stringify([key]), Buffer.from(key), 0, 1);
  memory.forget(JSON.stringify(["a"]));
  memory.touch(JSON.stringify(["b"]));
  expect([meet("a"), meet("b"), meet("a"), meet("b")]).toEqual([true, true, false, false]);
});

test("a memory of other key columns says nothing", () => {
  const digests = new DigestStore(new Map());
  meetAll(digests.begin(text)!, ["a"]);
  digests.close(text, 1);
  const notes = digests.notesWithDigests();
  expect(new DigestStore(notes).of(text)!.size).toBe(1);
  expect(new DigestStore(notes).of(tableOf([{ kind: "LONG" }]))).toBeNull();
});

test("no digests are kept of a table with a large estimate, or without a key", () => {
  const digests = new DigestStore(new Map());
  expect(digests.begin(tableOf([{ kind: "STRING" }], 1_000_000))).toBeNull();
  expect(digests.fits("t")).toBe(false);
  expect(digests.begin(tableOf([]))).toBeNull();
});

test("the state takes digests from the smallest on, as many as there is room for", () => {
  const digests = new DigestStore(new Map());
  for (const [id, keys] of [
    ["small", 1_000],
    ["large", 60_000],
    ["larger", 70_000],
  ] as const) {
    const table = { ...text, id };
    // Keys that nothing compresses.
    meetAll(
      digests.begin(table)!,
      Array.from({ length: keys }, () => randomBytes(9).toString("base64")),
    );
    digests.close(table, keys);
    digests.dropIfTooLarge(id);
  }
  const notes = digests.notesWithDigests();
  expect(Buffer.byteLength(JSON.stringify([...notes]))).toBeLessThan(2_600_000);
  expect(notes.get("small")).toMatchObject({ tooMany: false, rows: 1_000, memory: expect.anything() });
  expect(notes.get("larger")).toMatchObject({ tooMany: true, rows: 70_000, memory: null });
  expect(digests.notes().get("small")!.memory).toBeNull();
  // What was said to be too much is tried again by the next full pass.
  const later = new DigestStore(notes);
  expect([later.fits("small"), later.fits("larger")]).toEqual([true, false]);
  expect(later.begin({ ...text, id: "larger" })).not.toBeNull();
});

test.each([
  ["no deflated bytes", { keys: "AAAA" }],
  ["too few digests", { digests: "" }],
  ["bytes that are cut off", { keys: "q1YqLU4tUrIyNDI2MTUzt7AEAA==" }],
  ["a bomb", { keys: deflateRawSync(Buffer.alloc(200 << 20, 32)).toString("base64") }],
])("damaged digests are dropped and named: %s (case 46)", (_, damage) => {
  const memory = new RowDigests(signatureOf(text));
  meetAll(memory, ['["a"]', '["b"]']);
  const note = { rows: 2, tooMany: false, memory: memory.json() };
  expect(new DigestStore(new Map([["t", note]])).damaged).toEqual([]);
  const store = new DigestStore(new Map([["t", { ...note, memory: { ...note.memory, ...damage } }]]));
  expect([store.damaged, store.of(text), store.rowsOf("t")]).toEqual([["t"], null, 2]);
});
