import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { retryingFetch } from "./retrying-fetch.ts";

interface Service extends AsyncDisposable {
  readonly url: string;
  readonly asked: string[];
}

/** Answers each request with the next status; the last one holds for those that follow. */
async function service(statuses: readonly number[], headers: Readonly<Record<string, string>> = {}): Promise<Service> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const status = statuses[Math.min(asked.length, statuses.length - 1)]!;
    asked.push(request.method!);
    response.writeHead(status, status === 200 ? {} : headers).end(`answer ${asked.length}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/path?token=secret`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function retrying(signal = new AbortController().signal): { readonly fetch: typeof fetch; readonly said: string[] } {
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  return { fetch: retryingFetch({ debug: say, info: say, warn: say }, signal), said };
}

const soon = { "retry-after": "0.05" };

test("waits as long as the service says, and says so without the query", async () => {
  await using busy = await service([429, 503, 200], { "retry-after": "0.2" });
  const { fetch, said } = retrying();
  const began = performance.now();
  const response = await fetch(busy.url);
  expect([response.status, await response.text()]).toEqual([200, "answer 3"]);
  expect(performance.now() - began).toBeGreaterThan(400);
  const named = `GET ${new URL(busy.url).origin}/path answers`;
  expect(said).toEqual([
    expect.stringMatching(new RegExp(`^${named} 429: trying again in 0\\.[2-4] s, attempt 2 of 6$`)),
    expect.stringMatching(new RegExp(`^${named} 503: trying again in 0\\.[2-4] s, attempt 3 of 6$`)),
  ]);
});

test("waits until a date, and with backoff where nothing is said", async () => {
  await using dated = await service([503, 200], { "retry-after": new Date(Date.now() + 1_900).toUTCString() });
  const began = Date.now();
  expect((await retrying().fetch(dated.url)).status).toBe(200);
  expect(Date.now() - began).toBeGreaterThan(500);
  await using silent = await service([500, 200]);
  const { fetch, said } = retrying();
  expect((await fetch(silent.url)).status).toBe(200);
  expect(said).toEqual([expect.stringMatching(/500: trying again in (0\.[5-9]|1\.0) s, attempt 2 of 6$/)]);
});

test("gives up after six tries, or where it is asked to wait for long", async () => {
  await using down = await service([503], soon);
  await expect(retrying().fetch(down.url)).rejects.toMatchObject({
    code: "SERVER_UNAVAILABLE",
    message: `GET ${new URL(down.url).origin}/path answers 503, 6 times`,
  });
  expect(down.asked).toHaveLength(6);
  await using later = await service([429], { "retry-after": "3600" });
  await expect(retrying().fetch(later.url)).rejects.toMatchObject({
    code: "SERVER_UNAVAILABLE",
    message: `GET ${new URL(later.url).origin}/path answers 429, and asks to wait 1 h 00 m`,
  });
  expect(later.asked).toHaveLength(1);
});

test("gives every other answer as it is, and repeats no POST that may have been done", async () => {
  await using missing = await service([404]);
  expect((await retrying().fetch(missing.url)).status).toBe(404);
  await using broken = await service([500], soon);
  expect((await retrying().fetch(new Request(broken.url, { method: "POST", body: "x" }))).status).toBe(500);
  expect(broken.asked).toEqual(["POST"]);
  await using busy = await service([429, 200], soon);
  expect((await retrying().fetch(busy.url, { method: "POST", body: "x" })).status).toBe(200);
  expect(busy.asked).toEqual(["POST", "POST"]);
});

test("ends its wait with the signal of the sync, or with its own", async () => {
  await using busy = await service([429], { "retry-after": "60" });
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("stopped")), 50);
  await expect(retrying(stop.signal).fetch(busy.url)).rejects.toThrow();
  await expect(retrying().fetch(busy.url, { signal: AbortSignal.timeout(50) })).rejects.toThrow();
  expect(busy.asked).toHaveLength(2);
});
