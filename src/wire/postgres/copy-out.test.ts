import { PassThrough } from "node:stream";
import fc from "fast-check";
import type pg from "pg";
import { expect, test } from "vitest";
import { Watch } from "../../net/watch.ts";
import { copyOut } from "./copy-out.ts";

const watch = new Watch({ silence: 60_000, probe: async () => null, end: () => {} });

function message(kind: string, payload: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind, "latin1");
  head.writeUInt32BE(payload.length + 4, 1);
  return Buffer.concat([head, payload]);
}

/** As much of a client of `pg` as runs a query: a stream, and a listener that reads what is left to it. */
function fakeClient(): { readonly client: pg.Client; readonly stream: PassThrough; readonly left: () => string } {
  const stream = new PassThrough();
  let kinds = "";
  stream.on("data", (chunk: Buffer) => (kinds += String.fromCharCode(chunk[0]!)));
  const connection = { stream, query: () => {} };
  const client = { query: (copy: { submit(on: unknown): void }) => copy.submit(connection) };
  return { client: client as unknown as pg.Client, stream, left: () => kinds };
}

const rows = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 });
const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 });

test("messages come whole, wherever the socket cuts them; the rest is for pg", async () => {
  await fc.assert(
    fc.asyncProperty(rows, cuts, async (payloads, sizes) => {
      const { client, stream, left } = fakeClient();
      const data = payloads.map((payload) => message("d", Buffer.from(payload)));
      const empty = Buffer.alloc(0);
      const sent = Buffer.concat([
        message("H", Buffer.from([1, 0, 0])),
        ...data.slice(0, 3),
        message("N", Buffer.from("a notice\0")),
        ...data.slice(3),
        message("c", empty),
        message("C", Buffer.from("COPY\0")),
        message("Z", Buffer.from("I")),
      ]);
      const received: Buffer[] = [];
      const reading = (async () => {
        for await (const chunk of copyOut(client, "COPY", watch)) {
          // Each chunk ends with a message.
          for (let position = 0; position < chunk.length; position += 1 + chunk.readUInt32BE(position + 1)) {
            expect(chunk[position]).toBe(0x64);
          }
          received.push(Buffer.from(chunk));
        }
      })();
      for (let position = 0, index = 0; position < sent.length; index++) {
        const size = sizes[index % sizes.length]!;
        stream.write(sent.subarray(position, position + size));
        position += size;
        if (index % 3 === 0) await new Promise(setImmediate);
      }
      await reading;
      expect(Buffer.concat(received)).toEqual(Buffer.concat(data));
      expect(left()).toBe("HNcCZ");
      expect(stream.listenerCount("data")).toBe(1);
    }),
    { numRuns: 150 },
  );
});

test("a connection that closes in the middle is an error, after what came before", async () => {
  const { client, stream } = fakeClient();
  const row = message("d", Buffer.from("row"));
  const reading = copyOut(client, "COPY", watch);
  const first = reading.next();
  stream.write(Buffer.concat([row, row.subarray(0, 6)]));
  expect((await first).value).toEqual(row);
  stream.destroy();
  await expect(reading.next()).rejects.toThrow("Connection terminated");
});

test("a length that can't be one ends the connection", async () => {
  const { client, stream } = fakeClient();
  const reading = copyOut(client, "COPY", watch).next();
  stream.on("error", () => {});
  stream.write(Buffer.from([0x64, 0xff, 0xff, 0xff, 0xff, 0]));
  await expect(reading).rejects.toThrow('a message of kind "d" and 4294967295 bytes');
  expect(stream.destroyed).toBe(true);
});

test("the socket is paused while the reader is slow", async () => {
  const { client, stream } = fakeClient();
  const reading = copyOut(client, "COPY", watch);
  const first = reading.next();
  const row = message("d", Buffer.alloc(64 << 10));
  for (let count = 0; count < 64; count++) stream.write(row);
  await first;
  await new Promise(setImmediate);
  expect(stream.isPaused()).toBe(true);
  for (let count = 1; count < 64; count++) await reading.next();
  expect(stream.isPaused()).toBe(false);
});
