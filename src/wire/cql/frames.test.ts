import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader, NotCql } from "./frames.ts";

function response(stream: number, body: Uint8Array): Buffer {
  const header = Buffer.from([0x84, 0, 0, 0, 0x08, 0, 0, 0, 0]);
  header.writeInt16BE(stream, 2);
  header.writeInt32BE(body.length, 5);
  return Buffer.concat([header, body]);
}

test("frames come whole, however the stream is cut", () => {
  const body = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(body, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (bodies, cuts) => {
        const stream = Buffer.concat(bodies.map((bytes, index) => response(index, bytes)));
        const reader = new FrameReader();
        const seen: Buffer[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const end = at + (cuts[cut % Math.max(1, cuts.length)] ?? stream.length);
          for (const frame of reader.push(stream.subarray(at, end))) {
            expect(frame.stream).toBe(seen.length);
            seen.push(Buffer.from(frame.body));
          }
          at = end;
        }
        expect(seen).toEqual(bodies.map((bytes) => Buffer.from(bytes)));
      },
    ),
  );
});

test.each(["HTTP/1.1 400 Bad Request\r\n", "\u0015\u0003\u0003\u0000\u0002\u0002F", "-ERR unknown command\r\n"])(
  "%j is no frame",
  (text) => {
    expect(() => [...new FrameReader().push(Buffer.from(text))]).toThrow(NotCql);
  },
);
