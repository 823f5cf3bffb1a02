import { expect, test } from "vitest";
import { follow, type Link, reconnectDelay } from "./stream.ts";

const hello = { kind: "hello", version: "1", started: "2026-01-31T09:05:00Z" };
const message = (id: string): string => `id: ${id}\ndata: ${JSON.stringify(hello)}\n\n`;
const whole = (...pieces: readonly string[]): Response => new Response(pieces.join(""));

/** Follows one stream after another, until there is no more. */
async function followed(streams: readonly (Response | Error)[], silence = 10_000) {
  const stop = new AbortController();
  const rest = [...streams];
  const opened: string[] = [];
  const links: Link["state"][] = [];
  const waits: number[] = [];
  let received = 0;
  await follow({
    async open(lastId) {
      opened.push(lastId);
      const next = rest.shift();
      if (next === undefined) stop.abort();
      if (next === undefined || next instanceof Error) throw next ?? new Error("aborted");
      return next;
    },
    receive: () => received++,
    tell: ({ state }) => links.push(state),
    wait: async (milliseconds) => void waits.push(milliseconds),
    isFinal: (error) => error instanceof Error && error.message === "wrong token",
    signal: stop.signal,
    random: () => 1,
    silence,
  });
  return { opened, links, waits, received };
}

test("goes on behind the last event; a stream that merely ended is opened again at once", async () => {
  expect(await followed([whole(message("a-1"), message("a-2")), whole(message("a-3"))])).toEqual({
    opened: ["", "a-2", "a-3"],
    links: ["live", "live"],
    waits: [],
    received: 3,
  });
});

test("says that the service is away, and waits longer each time", async () => {
  const away = new Error("refused");
  const { opened, links, waits } = await followed([whole(message("a-1")), away, away, away, whole(message("b-1"))]);
  expect(opened).toEqual(["", "a-1", "a-1", "a-1", "a-1", "b-1"]);
  expect(links).toEqual(["live", "away", "away", "away", "live"]);
  expect(waits).toEqual([500, 1_000, 2_000]);
});

test("ends with a wrong token", async () => {
  expect((await followed([new Error("wrong token"), whole(message("a-1"))])).opened).toEqual([""]);
});

test("takes a silent stream for dead", async () => {
  const silent = new Response(
    new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(message("a-1"))) }),
  );
  const { opened, received } = await followed([silent], 20);
  expect([opened, received]).toEqual([["", "a-1"], 1]);
});

test("delays double up to ten seconds, and differ", () => {
  expect([1, 2, 5, 6, 20].map((failures) => reconnectDelay(failures, 1))).toEqual([500, 1_000, 8_000, 10_000, 10_000]);
  expect(reconnectDelay(1, 0)).toBe(250);
});
