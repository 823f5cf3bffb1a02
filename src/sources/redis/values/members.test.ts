import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Members } from "./members.ts";

/** Few different bytes, so that members share beginnings and come twice. */
const member = fc.uint8Array({ max: 3, maxLength: 6 }).map((bytes) => Buffer.from(bytes));

function gathered(pieces: readonly Buffer[], stride: 1 | 2): Members {
  const members = new Members();
  members.gather(stride);
  for (const piece of pieces) members.copy(piece, 0, piece.length);
  return members;
}

describe("members", () => {
  test("are ordered by their bytes, each once", () => {
    fc.assert(
      fc.property(fc.array(member, { maxLength: 400, size: "large" }), (pieces) => {
        const members = gathered(pieces, 1);
        const once = [...new Map(pieces.map((piece) => [piece.toString("hex"), piece])).values()];
        expect([...members.sorted()].map((piece) => members.piece(piece))).toEqual(once.toSorted(Buffer.compare));
      }),
      { numRuns: 200 },
    );
  });

  test("of fields that come twice the last value holds", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(member, member), { maxLength: 200, size: "large" }), (pairs) => {
        const members = gathered(pairs.flat(), 2);
        const last = new Map(pairs.map(([field, value]) => [field.toString("hex"), value]));
        const seen = [...members.sorted()].map((piece) => [members.piece(piece), members.piece(piece + 1)]);
        expect(seen).toEqual(
          [...last]
            .map(([field, value]) => [Buffer.from(field, "hex"), value])
            .toSorted(([a], [b]) => Buffer.compare(a!, b!)),
        );
      }),
      { numRuns: 200 },
    );
  });

  test("stay when the bytes that they lie in move", () => {
    const bytes = Buffer.from("onetwo");
    const members = new Members();
    members.over(bytes, 1);
    members.add(0, 3);
    members.add(3, 6);
    members.detach();
    bytes.fill(0);
    expect([members.piece(0).toString(), members.piece(1).toString()]).toEqual(["one", "two"]);
  });
});
