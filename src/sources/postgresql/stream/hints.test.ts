import { expect, test } from "vitest";
import { Hints } from "./hints.ts";
import { lsnOf, lsnText } from "./lsn.ts";
import { visibleIn } from "./visible.ts";

const keys = new Map([
  ["t", ["id"]],
  ["other", ["a", "id"]],
]);

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const long = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const short = (value: number): Buffer => int(value).subarray(2);

const begin = (commit: bigint, xid: number): Buffer =>
  Buffer.concat([Buffer.from("B"), long(commit), long(0n), int(xid)]);
const commit = (end: bigint): Buffer => Buffer.concat([Buffer.from("C\0"), long(end - 5n), long(end), long(0n)]);
const relation = (id: number, name: string, columns: readonly string[], schema = "public"): Buffer =>
  Buffer.concat([
    ...[Buffer.from("R"), int(id), text(schema), text(name), Buffer.from("d"), short(columns.length)],
    ...columns.flatMap((column) => [Buffer.from([1]), text(column), int(23), int(0)]),
  ]);
const tuple = (letter: string, values: readonly (string | null | undefined)[]): Buffer =>
  Buffer.concat([
    ...[Buffer.from(letter), short(values.length)],
    ...values.flatMap((value) => {
      if (typeof value !== "string") return [Buffer.from(value === null ? "n" : "u")];
      return [Buffer.from("t"), int(Buffer.byteLength(value)), Buffer.from(value)];
    }),
  ]);
const change = (kind: "I" | "U" | "D", id: number, ...tuples: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(kind), int(id), ...tuples]);

function hintsOf(messages: readonly Buffer[], { snapshot = "100:100:", most = 1 << 20 } = {}): Hints {
  const hints = new Hints("public", keys, most);
  let open: bigint | null = null;
  const end = (): void => (open === null ? undefined : hints.take(commit(open + 5n)));
  for (const message of messages) {
    if (message[0] === 0x42) {
      end();
      open = message.readBigUInt64BE(1);
    }
    hints.take(message);
  }
  end();
  hints.see(visibleIn(snapshot));
  return hints;
}

test("the keys of rows as they were and as they are, each once", () => {
  const hints = hintsOf([
    begin(10n, 5),
    relation(1, "t", ["name", "id"]),
    change("I", 1, tuple("N", ["ä", "1"])),
    change("U", 1, tuple("N", [undefined, "1"])),
    change("U", 1, tuple("K", [null, "2"]), tuple("N", ["x", "3"])),
    change("D", 1, tuple("O", ["x", "4"])),
    relation(2, "t", ["id"], "elsewhere"),
    change("I", 2, tuple("N", ["9"])),
  ]);
  expect(hints.of("t", 0n)).toEqual([["1"], ["2"], ["3"], ["4"]]);
  expect(hints.of("other", 0n)).toEqual([]);
  expect(hints.needsWhole("t", 0n)).toBe(false);
});

test("only keys that changed since a position", () => {
  const insert = (id: string): Buffer => change("I", 1, tuple("N", [id]));
  const hints = hintsOf([
    relation(1, "t", ["id"]),
    ...[begin(10n, 5), insert("1"), insert("2")],
    ...[begin(20n, 6), insert("2"), insert("3")],
  ]);
  expect(hints.of("t", 20n)).toEqual([["2"], ["3"]]);
  expect(hints.of("t", 21n)).toEqual([]);
});

test.each([
  ["TRUNCATE", Buffer.concat([Buffer.from("T"), int(1), Buffer.from([0]), int(1)])],
  ["a key that the log does not hold", change("D", 1, tuple("K", [null]))],
  ["a key that is not told", change("U", 1, tuple("N", [undefined]))],
])("%s: what came before the commit can't be told by keys", (_, message) => {
  const messages = [relation(1, "t", ["id"]), begin(10n, 5), change("I", 1, tuple("N", ["1"])), message];
  const hints = hintsOf([...messages, begin(20n, 6), change("I", 1, tuple("N", ["2"]))]);
  expect(hints.needsWhole("t", 10n)).toBe(true);
  expect(hints.needsWhole("t", 11n)).toBe(false);
  expect(hints.of("t", 0n)).toEqual([["2"]]);
});

test("of more keys than fit memory, the table with the most is to be read whole", () => {
  const many = Array.from({ length: 100 }, (_, id) => change("I", 1, tuple("N", [`key ${id}`])));
  const hints = hintsOf(
    [
      begin(10n, 5),
      relation(1, "t", ["id"]),
      relation(2, "other", ["a", "id"]),
      change("I", 2, tuple("N", ["1", "2"])),
      ...many,
    ],
    { most: 5_000 },
  );
  expect(hints.needsWhole("t", 10n)).toBe(true);
  expect(hints.needsWhole("other", 0n)).toBe(false);
  expect(hints.of("other", 0n)).toEqual([["1", "2"]]);
});

test("of a transaction that is too large no more keys are kept", () => {
  const some = (from: number): Buffer[] =>
    Array.from({ length: 50 }, (_, id) => change("I", 1, tuple("N", [`key ${from + id}`])));
  const large = [begin(10n, 5), relation(1, "t", ["id"]), ...some(0), ...some(50), ...some(100)];
  const hints = hintsOf([...large, begin(20n, 6), change("I", 1, tuple("N", ["key 1"]))], { most: 5_000 });
  expect(hints.needsWhole("t", 10n)).toBe(true);
  expect([hints.needsWhole("t", 11n), hints.of("t", 11n), hints.of("t", 0n)]).toEqual([
    false,
    [["key 1"]],
    [["key 1"]],
  ]);
});

test.each([
  ["visible", 99, "100:105:101,103", null],
  ["running", 101, "100:105:101,103", 20n],
  ["ended between those that run", 102, "100:105:101,103", null],
  ["not begun", 105, "100:105:101,103", 20n],
  ["of the lap before", 4_294_967_290, "4294967300:4294967300:", null],
  ["of this lap, not begun", 4, "4294967300:4294967300:", 20n],
  ["of the next lap", 2, "4294967290:4294967295:", 20n],
])("the position stays before a commit that is not visible: %s", (_, xid, snapshot, unseen) => {
  const insert = change("I", 1, tuple("N", ["1"]));
  const messages = [relation(1, "t", ["id"]), begin(20n, xid), insert, begin(30n, xid), insert];
  expect(hintsOf(messages, { snapshot }).unseen).toBe(unseen);
});

test("of a transaction that is on its way nothing is told, unless the key changed before", () => {
  const insert = (id: string): Buffer => change("I", 1, tuple("N", [id]));
  const hints = hintsOf([relation(1, "t", ["id"]), begin(10n, 5), insert("1")]);
  expect([...hints.fresh]).toEqual(["t"]);
  hints.fresh.clear();
  for (const message of [begin(20n, 6), insert("1"), insert("2")]) hints.take(message);
  hints.reach(30n);
  expect([hints.reached, hints.of("t", 0n), [...hints.fresh]]).toEqual([15n, [["1"]], []]);
  hints.take(commit(25n));
  expect([hints.reached, hints.of("t", 0n), [...hints.fresh]]).toEqual([25n, [["1"], ["2"]], ["t"]]);
});

test("what the copy has is forgotten", () => {
  const insert = (id: string): Buffer => change("I", 1, tuple("N", [id]));
  const hints = hintsOf([
    ...[relation(1, "t", ["id"]), begin(10n, 5), insert("1"), insert("2")],
    ...[begin(20n, 6), insert("2")],
  ]);
  hints.forget("t", 15n);
  expect(hints.of("t", 0n)).toEqual([["2"]]);
  hints.forget("t", 25n);
  expect([hints.of("t", 0n), hints.tables]).toEqual([[], []]);
});

test("positions are compared by their value", () => {
  expect(lsnOf("16/B374D848")).toBe(0x16b374d848n);
  expect(lsnText(0x16b374d848n)).toBe("16/B374D848");
  expect(lsnOf("A/0") > lsnOf("9/FFFFFFFF")).toBe(true);
});
