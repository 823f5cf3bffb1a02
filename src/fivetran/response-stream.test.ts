import { expect, test } from "vitest";
import { ResponseStream } from "./response-stream.ts";
import { loadProtocol } from "./protocol.ts";

const protocol = loadProtocol();
const message = Buffer.alloc(1 << 20);

/** A reader that takes a message when it is told to. */
class Reader {
  readonly waiting: ((error?: Error) => void)[] = [];

  write(_: Uint8Array, done: (error?: Error | null) => void): boolean {
    this.waiting.push(done);
    return this.waiting.length < 16;
  }
}

test("whoever sends waits while too much is on its way", async () => {
  const reader = new Reader();
  const responses = new ResponseStream(reader, protocol, new AbortController().signal);
  for (let sent = 0; sent < 4; sent++) expect(responses.send(message)).toBeNull();
  const room = responses.send(message);
  expect(room).not.toBeNull();
  let hasRoom = false;
  const waited = room!.then(() => (hasRoom = true));
  const warned = responses.write({ warning: { message: "meanwhile" } });
  reader.waiting.shift()!();
  await Promise.resolve();
  expect(hasRoom).toBe(false);
  while (reader.waiting.length > 0) reader.waiting.shift()!();
  await Promise.all([waited, warned]);
  expect(responses.send(message)).toBeNull();
});

test("a reader that goes away ends the wait, and all that follows", async () => {
  const gone = new AbortController();
  const responses = new ResponseStream(new Reader(), protocol, gone.signal);
  for (let sent = 0; sent < 4; sent++) void responses.send(message);
  const room = responses.send(message);
  gone.abort(new Error("gone"));
  await expect(room).rejects.toThrow("gone");
  expect(() => responses.send(message)).toThrow("gone");
});

test("an error of the stream is told", async () => {
  const reader = new Reader();
  const responses = new ResponseStream(reader, protocol, new AbortController().signal);
  void responses.send(message);
  reader.waiting.shift()!(new Error("broken"));
  await expect(responses.write({ warning: { message: "late" } })).rejects.toThrow("broken");
});
