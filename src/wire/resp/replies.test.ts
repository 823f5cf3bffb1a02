import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Commands, commandHead } from "./commands.ts";
import { RespError, RespProtocolError } from "./errors.ts";
import { Replies, type ReplyValue } from "./replies.ts";

const leaf = fc.oneof(
  fc.integer(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom("OK", "PONG", "QUEUED"),
  fc.constantFrom("ERR no", "WRONGTYPE Operation against").map((text) => new RespError(text)),
);
const { reply } = fc.letrec<{ reply: ReplyValue }>((tie) => ({
  reply: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("reply"), { maxLength: 6 })),
}));

function encoded(value: ReplyValue): Buffer {
  if (value === null) return Buffer.from("$-1\r\n");
  if (typeof value === "number") return Buffer.from(`:${value}\r\n`);
  if (typeof value === "string") return Buffer.from(`+${value}\r\n`);
  if (value instanceof RespError) return Buffer.from(`-${value.message}\r\n`);
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from("\r\n")]);
  return Buffer.concat([Buffer.from(`*${(value as readonly ReplyValue[]).length}\r\n`), ...value.map(encoded)]);
}

describe("replies", () => {
  test("come out as they were sent, wherever the network cuts them", () => {
    fc.assert(
      fc.property(
        fc.array(reply, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (sent, cuts) => {
          const bytes = Buffer.concat(sent.map(encoded));
          const replies = new Replies();
          const seen: ReplyValue[] = [];
          for (let at = 0, cut = 0; at < bytes.length; cut++) {
            const size = cuts[cut % cuts.length]!;
            replies.append(bytes.subarray(at, at + size));
            at += size;
            while (replies.unread > 0 && replies.complete()) seen.push(replies.take());
          }
          expect(seen).toEqual(sent);
          expect(replies.unread).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a large one does not keep its memory", () => {
    const replies = new Replies();
    replies.append(encoded(Buffer.alloc(8 << 20)));
    expect(replies.complete()).toBe(true);
    replies.done();
    for (let count = 0; count < 200; count++) {
      replies.append(encoded(Buffer.alloc(60_000)));
      expect(replies.complete()).toBe(true);
      replies.done();
    }
    expect(replies.bytes.byteLength).toBeLessThan(1 << 20);
  });

  test("what is no RESP is told", () => {
    const replies = new Replies();
    replies.append(Buffer.from("HTTP/1.1 400 Bad Request\r\n"));
    expect(() => replies.complete()).toThrow(RespProtocolError);
  });
});

describe("commands", () => {
  test("are arrays of bulk strings", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 50 }), (keys) => {
        const commands = new Commands();
        const head = commandHead(2, "GET");
        for (const key of keys) {
          commands.begin(head);
          commands.argument(key);
        }
        expect(commands.count).toBe(keys.length);
        const expected = keys.map((key) => encoded([Buffer.from("GET"), Buffer.from(key)]));
        expect(Buffer.from(commands.take()).equals(Buffer.concat(expected))).toBe(true);
        expect(commands.count).toBe(0);
      }),
    );
  });
});
