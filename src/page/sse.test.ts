import { expect, test } from "vitest";
import { type Message, messageParser } from "./sse.ts";

const stream =
  '\uFEFF: hello\n\nid: a-1\nevent: run\ndata: {"kind":\ndata: "run"}\n\ndata:no blank\r\rid\r\ndata:  two blanks\r\n\r\nevent: empty\n\ndata\n\nretry: 10\nunknown: 1\nid: a-2\ndata: last\n\ndata: unfinished\n';

const messages: readonly Message[] = [
  { id: "a-1", event: "run", data: '{"kind":\n"run"}' },
  { id: "a-1", event: "message", data: "no blank" },
  { id: "", event: "message", data: " two blanks" },
  { id: "", event: "message", data: "" },
  { id: "a-2", event: "message", data: "last" },
];

test("reads a stream as the standard says", () => {
  expect(messageParser()(stream)).toEqual(messages);
});

test("reads it in pieces of any length", () => {
  for (let length = 1; length <= stream.length; length++) {
    const parse = messageParser();
    const read: Message[] = [];
    for (let at = 0; at < stream.length; at += length) read.push(...parse(stream.slice(at, at + length)));
    expect(read, `pieces of ${length}`).toEqual(messages);
  }
});
