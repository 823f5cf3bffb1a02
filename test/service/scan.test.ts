import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCertificate } from "../servers/certificate.ts";
import { type Folder, folderWith } from "./folder.ts";
import { Up } from "./up.ts";

// Nothing is reached: the port is closed.
const connections = { shop: { source: "postgresql://reader:pw@127.0.0.1:9/shop", destination: "duckdb:copy.duckdb" } };
const token = "a-token-that-is-long";

let folder: Folder;
let up: Up;

// As behind a proxy, so that the tests may come from several addresses.
beforeAll(async () => {
  folder = await folderWith({ connections, service: { token, tls: "proxy" } });
  up = await Up.start(folder.path);
});

afterAll(async () => {
  await up[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Sends bytes as they are, and resolves to what came back until the other side closed, or `milliseconds` went by. */
function raw(bytes: string, milliseconds = 5_000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(up.port, "127.0.0.1");
    let text = "";
    const end = (): void => {
      socket.destroy();
      resolve(text);
    };
    const late = setTimeout(end, milliseconds);
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(late);
      resolve(text);
    });
    socket.write(bytes);
  });
}

const statuses = (text: string): string[] => [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status!);
const asked = (address: string, given = token): Promise<Response> =>
  fetch(`${up.address}/api/v1/service`, {
    headers: { Authorization: `Bearer ${given}`, "X-Forwarded-For": `198.51.100.1, ${address}` },
  });

describe("tokens", () => {
  test(
    "5,000 wrong ones of many addresses: each waits, others do not, and memory stays",
    { timeout: 60_000 },
    async () => {
      const before = await resident();
      const counts = new Map<number, number>();
      for (let at = 0; at < 5_000; at += 50) {
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, one) =>
            asked(`192.0.2.${(at + one) % 400 < 200 ? 7 : one}`, `guess-${at}-${one}`),
          ),
        );
        for (const { status, body } of answers) {
          counts.set(status, (counts.get(status) ?? 0) + 1);
          await body?.cancel();
        }
      }
      expect([...counts.keys()].sort()).toEqual([401, 429]);
      // Ten of each of 51 addresses.
      expect(counts.get(401)).toBeLessThanOrEqual(510);
      expect((await asked("192.0.2.7")).status).toBe(429);
      expect((await asked("192.0.2.250")).status).toBe(200);
      for (let at = 0; at < 3_000; at += 50)
        await Promise.all(
          Array.from({ length: 50 }, async (_, one) =>
            (await asked(`${"x".repeat(4_000)}${at + one}`, "wrong")).text(),
          ),
        );
      expect((await resident()) - before).toBeLessThan(60 << 20);
    },
  );

  test.each([
    ["none", undefined],
    ["empty", "Bearer "],
    ["twice", `Bearer ${token}, Bearer ${token}`],
    ["by another scheme", `Basic ${Buffer.from(`u:${token}`).toString("base64")}`],
    ["in part", `Bearer ${token.slice(0, -1)}`],
    ["with more", `Bearer ${token}x`],
    ["of 10,000 characters", `Bearer ${"a".repeat(10_000)}`],
  ])("%s is refused", async (_, Authorization) => {
    const headers = { "X-Forwarded-For": "203.0.113.9", ...(Authorization === undefined ? {} : { Authorization }) };
    const { status } = await fetch(`${up.address}/api/v1/service`, { headers });
    expect([401, 431]).toContain(status);
  });
});

describe("requests that are no requests", () => {
  const line = `Host: localhost\r\nAuthorization: Bearer ${token}\r\n`;

  test.each([
    ["no HTTP", "hello\r\n\r\n", ["400"]],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["400"]],
    [
      "two lengths",
      `POST /api/v1/connections/shop/actions HTTP/1.1\r\n${line}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`,
      ["400"],
    ],
    [
      "length and chunks: a request within a request",
      `POST /api/v1/connections/shop/actions HTTP/1.1\r\n${line}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/service HTTP/1.1\r\n${line}\r\n`,
      ["400"],
    ],
    [
      "a header over lines",
      `GET /api/v1/service HTTP/1.1\r\nHost: localhost\r\nX:\r\n a\r\n${line}\r\n`,
      ["400", "200"],
    ],
    ["no host", `GET /api/v1/service HTTP/1.1\r\nAuthorization: Bearer ${token}\r\n\r\n`, ["400"]],
    ["two hosts", `GET /api/v1/service HTTP/1.1\r\nHost: evil.example\r\n${line}\r\n`, ["400", "403"]],
    [
      "an address of another host",
      `GET http://evil.example/api/v1/service HTTP/1.1\r\n${line}\r\n`,
      ["400", "403", "404", "200"],
    ],
    ["CONNECT", `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${line}\r\n`, []],
    ["an upgrade", `GET /api/v1/service HTTP/1.1\r\n${line}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, ["200"]],
    ["headers of 64 kB", `GET / HTTP/1.1\r\n${line}X: ${"a".repeat(64 << 10)}\r\n\r\n`, ["431"]],
    ["a path of 64 kB", `GET /${"a".repeat(64 << 10)} HTTP/1.1\r\n${line}\r\n`, ["431"]],
    ["300 headers", `GET /healthz HTTP/1.1\r\n${line}${"X: 1\r\n".repeat(300)}\r\n`, ["200", "431"]],
  ])("%s", async (_, bytes, allowed) => {
    const [status] = statuses(await raw(bytes, 1_500));
    if (status === undefined) expect(allowed).toEqual([]);
    else expect(allowed).toContain(status);
    expect((await fetch(`${up.address}/healthz`)).status).toBe(200);
  });

  test.each([
    "/../../../etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/....//....//etc/passwd",
    "/..%5c..%5cetc%5cpasswd",
    "/%c0%ae%c0%ae/etc/passwd",
    "/assets/..%00/index.html",
    "/.headwaters/.service/token",
    "/headwaters.yaml",
    "/api/v1/runs/..%2f..%2f.service%2ftoken/log",
    "/api/v1/runs/%2e%2e/log",
    "/api/v1/connections/__proto__",
    "/api/v1/connections/constructor/runs",
    "/api/v1/alerts/__proto__/test",
  ])("%s leads nowhere", async (path) => {
    const text = await raw(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    );
    expect(["400", "404", "405"]).toContain(statuses(text)[0]);
    expect(text).not.toContain(token);
    expect(text).not.toContain("root:");
  });

  test("bodies: deep, wide, no UTF-8, and of a prototype", async () => {
    const post = (body: string | Uint8Array<ArrayBuffer>): Promise<Response> =>
      fetch(`${up.address}/api/v1/connections/shop/actions`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body,
      });
    for (const body of [
      "[".repeat(30_000),
      `{"action":${"[".repeat(15_000)}${"]".repeat(15_000)}}`,
      `{${Array.from({ length: 5_000 }, (_, n) => `"k${n}":1`).join(",")}}`,
      new Uint8Array([0xff, 0xfe, 0x7b]),
      '{"__proto__":{"action":"pause"}}',
      '{"constructor":{"prototype":{"action":"pause"}}}',
    ])
      expect((await post(body)).status).toBe(400);
    expect((await (await asked("192.0.2.251")).json()) as object).not.toHaveProperty("action");
  });
});

describe("clients that hold on", () => {
  test("a body that comes slowly is given up within half a minute", { timeout: 60_000 }, async () => {
    const began = performance.now();
    const socket = connect(up.port, "127.0.0.1");
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.resume();
    socket.write(
      `POST /api/v1/connections/shop/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
    );
    const drip = setInterval(() => socket.writable && socket.write(" "), 500);
    await gone;
    clearInterval(drip);
    expect(performance.now() - began).toBeLessThan(40_000);
  });

  test("600 connections without a word: the service answers those that ask", { timeout: 60_000 }, async () => {
    const idle: Socket[] = [];
    for (let at = 0; at < 600; at++) {
      const socket = connect(up.port, "127.0.0.1");
      socket.on("error", () => {});
      idle.push(socket);
    }
    // Those beyond the limit are closed at once, the others when their headers don't come.
    await expect
      .poll(
        () =>
          fetch(`${up.address}/healthz`).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 40_000, interval: 500 },
      )
      .toBe(200);
    for (const socket of idle) socket.destroy();
  });
});

describe("TLS", () => {
  const authority = makeCertificate({ commonName: "an authority" });
  const certificate = makeCertificate({ commonName: "headwaters", hosts: ["127.0.0.1", "localhost"], authority });

  test("by the files of a certificate: at all addresses, over https alone", async () => {
    await using own = await folderWith({
      connections,
      service: { token, tls: { certificate: "cert.pem", key: "key.pem" } },
    });
    await writeFile(join(own.path, "cert.pem"), certificate.certificate);
    await writeFile(join(own.path, "key.pem"), certificate.key);
    await using secure = await Up.start(own.path, ["--host", "0.0.0.0"]);
    expect(secure.stdout).toContain("https://0.0.0.0:");
    const ask = (more: object): Promise<readonly [number, object]> =>
      new Promise((resolve, reject) => {
        const place = { host: "127.0.0.1", port: secure.port, path: "/api/v1/service", agent: false };
        request({ ...place, headers: { Authorization: `Bearer ${token}` }, ...more }, (response) => {
          response.resume();
          resolve([response.statusCode!, response.headers]);
        })
          .on("error", reject)
          .end();
      });
    const [status, headers] = await ask({ ca: authority.certificate });
    expect([status, headers]).toEqual([
      200,
      expect.objectContaining({ "strict-transport-security": "max-age=31536000" }),
    ]);
    await expect(ask({})).rejects.toThrow(/unable to verify/);
    await expect(ask({ ca: authority.certificate, maxVersion: "TLSv1.1" })).rejects.toThrow();
    await expect(fetch(`http://127.0.0.1:${secure.port}/healthz`)).rejects.toThrow();
    expect(await secure.stop()).toBe(0);
  });

  test.each([
    ["no certificate", "no PEM", certificate.key],
    ["the key of another", certificate.certificate, makeCertificate({ commonName: "other" }).key],
  ])("%s is refused by the names of the files", async (_, cert, key) => {
    await using own = await folderWith({
      connections,
      service: { token, tls: { certificate: "cert.pem", key: "key.pem" } },
    });
    await writeFile(join(own.path, "cert.pem"), cert);
    await writeFile(join(own.path, "key.pem"), key);
    await expect(Up.start(own.path)).rejects.toThrow(/ended with 2: [\s\S]*service\.tls: .*cert\.pem and .*key\.pem/);
  });
});

async function resident(): Promise<number> {
  const text = await (
    await fetch(`${up.address}/metrics`, {
      headers: { Authorization: `Bearer ${token}`, "X-Forwarded-For": "192.0.2.251" },
    })
  ).text();
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)![1]);
}
