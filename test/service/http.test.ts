import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Folder, folderWith } from "./folder.ts";
import { Up } from "./up.ts";

// Nothing is reached: the port is closed.
const connections = {
  shop: { source: "postgresql://reader:secret-password@127.0.0.1:9/shop", destination: "duckdb:copy.duckdb" },
};

let folder: Folder;
let up: Up;

beforeAll(async () => {
  folder = await folderWith({ connections });
  up = await Up.start(folder.path);
});

afterAll(async () => {
  await up[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

interface Answered {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A request with any headers: fetch would not send them. */
function send(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
  body = "",
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: up.port, path, method, headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode!, body: text, headers: response.headers }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

function withToken(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return { Authorization: `Bearer ${up.token}`, ...more };
}

describe("who may ask", () => {
  test.each([
    "/api/v1/service",
    "/api/v1/connections",
    "/api/v1/events",
    "/api/v1/openapi.json",
    "/api/v1/nowhere",
    "/metrics",
  ])("%s needs the token", async (path) => {
    expect((await send(path)).status).toBe(401);
    expect((await send(path, { Authorization: "Basic dTpw" })).status).toBe(401);
    expect((await send(`${path}?token=${up.token}`)).status).toBe(401);
  });

  test.each(["/healthz", "/readyz", "/"])("%s does not", async (path) => {
    expect((await send(path)).status).toBe(200);
  });

  test("names of other hosts are refused: a page elsewhere may have its name lead here", async () => {
    for (const Host of ["evil.example", "evil.example:7717", "127.0.0.1.evil.example"]) {
      expect([Host, (await send("/api/v1/service", withToken({ Host }))).status]).toEqual([Host, 403]);
      expect((await send("/", { Host })).status).toBe(403);
    }
    for (const Host of [`127.0.0.1:${up.port}`, "localhost:7717", "LOCALHOST", "[::1]:80", "192.168.1.5"])
      expect([Host, (await send("/api/v1/service", withToken({ Host }))).status]).toEqual([Host, 200]);
  });

  test("pages of other origins are refused", async () => {
    const own = `127.0.0.1:${up.port}`;
    for (const Origin of [
      "https://evil.example",
      "null",
      "file://",
      `http://127.0.0.1:1`,
      `http://localhost:${up.port}`,
    ])
      expect([Origin, (await send("/api/v1/service", withToken({ Origin }))).status]).toEqual([Origin, 403]);
    for (const site of ["cross-site", "same-site"])
      expect((await send("/api/v1/service", withToken({ "Sec-Fetch-Site": site }))).status).toBe(403);
    expect(
      (await send("/api/v1/service", withToken({ Origin: `http://${own}`, "Sec-Fetch-Site": "same-origin" }))).status,
    ).toBe(200);
  });

  test("wrong tokens make an address wait", async () => {
    const own = await folderWith({ connections });
    await using _ = own;
    await using other = await Up.start(own.path);
    const statuses: number[] = [];
    for (let tried = 0; tried < 12; tried++) {
      statuses.push(
        (await other.fetch("/api/v1/service", { headers: { Authorization: `Bearer wrong${tried}` } })).status,
      );
    }
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const limited = await other.fetch("/api/v1/service");
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get("Retry-After"))).toBeGreaterThan(0);
  });
});

describe("the token", () => {
  const status = async (other: Up, token: string): Promise<number> =>
    (await fetch(`${other.address}/api/v1/service`, { headers: { Authorization: `Bearer ${token}` } })).status;
  const [first, second] = ["a-token-that-is-long", "another-that-is-long"];

  test.each([
    ["a file", { file: "token" }],
    ["the environment", "${HEADWATERS_TOKEN}"],
  ])("is that of %s, is not shown, and is another one after a restart", async (_, token) => {
    await using own = await folderWith({ connections, service: { token } });
    for (const [now, before] of [
      [first, second],
      [second, first],
    ] as const) {
      writeFileSync(join(own.path, "token"), `${now}\n`);
      await using other = await Up.start(own.path, [], { HEADWATERS_TOKEN: now });
      expect([await status(other, now), await status(other, before)]).toEqual([200, 401]);
      expect(other.stdout + other.stderr).not.toContain(now);
      expect(await other.stop()).toBe(0);
    }
    expect(readdirSync(join(own.path, ".headwaters/.service"))).not.toContain("token");
  });

  test("is made at the first start, for its owner alone; without its file, a new one is made", async () => {
    await using own = await folderWith({ connections });
    const file = join(own.path, ".headwaters/.service/token");
    const made: string[] = [];
    for (let start = 0; start < 3; start++) {
      await using other = await Up.start(own.path);
      made.push(readFileSync(file, "utf8").trim());
      expect(await status(other, made[start]!)).toBe(200);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      // It is printed once, and goes into no log of a later start.
      expect(other.stdout.includes(made[start]!)).toBe(start !== 1);
      expect(await other.stop()).toBe(0);
      if (start === 1) rmSync(file);
    }
    expect(new Set(made).size).toBe(2);
    expect(made[0]).toBe(made[1]);
  });
});

describe("what is answered", () => {
  test("headers keep browsers from mischief, also where something is refused", async () => {
    for (const path of ["/", "/api/v1/service", "/nowhere", "/metrics"]) {
      const { headers } = await send(path);
      expect(headers["content-security-policy"]).toContain("default-src 'none'");
      expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
      expect(headers["content-security-policy"]).not.toContain("unsafe");
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
      });
      expect(headers["access-control-allow-origin"]).toBeUndefined();
      expect(headers["set-cookie"]).toBeUndefined();
    }
  });

  test("GET changes nothing, and other methods are not answered", async () => {
    const { status, headers } = await send("/api/v1/connections/shop/actions", withToken());
    expect([status, headers["allow"]]).toEqual([405, "POST"]);
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"]) {
      const { status, headers } = await send("/api/v1/connections", withToken(), method);
      expect([method, status, headers["allow"]]).toEqual([method, 405, "HEAD, GET"]);
    }
  });

  test("bodies: JSON alone, an action alone, and small", async () => {
    const post = (body: string, type = "application/json"): Promise<Answered> =>
      send("/api/v1/connections/shop/actions", withToken({ "Content-Type": type }), "POST", body);
    expect((await post(`{"action":"pause"}`, "text/plain")).status).toBe(415);
    expect((await post(`{"action":"pause"}`, "application/x-www-form-urlencoded")).status).toBe(415);
    for (const body of [
      "",
      "{",
      "null",
      "[]",
      `{"action":"drop"}`,
      `{"action":"sync","tabels":["t"]}`,
      `{"action":"accept-deletes","table":"t","gone":-1,"of":1}`,
    ])
      expect([body, (await post(body)).status]).toEqual([body, 400]);
    expect((await post(JSON.stringify({ action: "sync", tables: ["x".repeat(100_000)] }))).status).toBe(413);
    const chunked = { ...withToken({ "Content-Type": "application/json" }), "Transfer-Encoding": "chunked" };
    expect((await send("/api/v1/connections/shop/actions", chunked, "POST", "x".repeat(200_000))).status).toBe(413);
  });

  test("no path leads out of the page", async () => {
    for (const path of [
      "/../package.json",
      "/%2e%2e/package.json",
      "/..%2f..%2fpackage.json",
      "/assets/../../package.json",
      "//etc/passwd",
      "/%00",
      "/%",
    ])
      expect([path, (await send(path)).status]).toEqual([path, 404]);
  });

  test("queries and names that make no sense are refused", async () => {
    for (const query of ["limit=0", "limit=501", "limit=x", "kind=dance", "before=yesterday-ish", "before=0.5"])
      expect([query, (await send(`/api/v1/connections/shop/runs?${query}`, withToken())).status]).toEqual([query, 400]);
    for (const path of [
      "/connections/none",
      "/connections/none/runs",
      "/connections/none/tables",
      "/runs/none",
      "/runs/none/log",
      "/runs/..%2f..%2ftoken/log",
    ])
      expect([path, (await send(`/api/v1${path}`, withToken())).status]).toEqual([path, 404]);
  });

  test("OpenAPI describes every path, by schemas that are right themselves", async () => {
    const api = JSON.parse((await send("/api/v1/openapi.json", withToken())).body) as {
      readonly openapi: string;
      readonly paths: Readonly<Record<string, object>>;
      readonly components: { readonly schemas: Readonly<Record<string, object>> };
    };
    expect(api.openapi).toBe("3.1.0");
    expect(Object.keys(api.paths)).toContain("/connections/{name}/actions");
    const text = JSON.stringify(api);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!);
    expect(references.length).toBeGreaterThan(10);
    for (const name of references) expect(api.components.schemas).toHaveProperty([name]);
    const ajv = new Ajv({ strict: false });
    ajv.addSchema({ $id: "api", components: api.components });
    const check = ajv.compile({ $ref: "api#/components/schemas/Connection" });
    const [shop] = JSON.parse((await send("/api/v1/connections", withToken())).body) as unknown[];
    expect([check(shop), check.errors]).toEqual([true, null]);
    expect(check({ ...(shop as object), rows: "many" })).toBe(false);
  });

  test("metrics are as Prometheus reads them", async () => {
    const { body, headers } = await send("/metrics", withToken());
    expect(headers["content-type"]).toContain("version=0.0.4");
    expect(body).toContain('headwaters_connection_state{connection="shop",state="never"} 1');
    for (const line of body.split("\n").filter((line) => line !== "" && !line.startsWith("#")))
      expect(line).toMatch(/^[a-z_]+[a-z0-9_]*(\{[^}]*\})? (?:[-+]?[0-9.e+-]+|NaN|\+Inf)$/i);
  });
});

describe("two of one file", () => {
  test("the second is refused with who is at work, and the first goes on (case 7)", async () => {
    await expect(Up.start(folder.path)).rejects.toThrow(
      new RegExp(`ended with 3: .*runs for this file: process ${up.process.pid} on `),
    );
    expect((await up.fetch("/api/v1/service")).status).toBe(200);
    // A second service of the same folder, with a place of its own for what it remembers.
    await using own = await folderWith({ connections });
    await using _ = await Up.start(folder.path, ["--log-level", "error"], { HEADWATERS_STATE: own.path });
  });

  test("one that was killed keeps no other from starting; nor does another machine that is gone", async () => {
    await using own = await folderWith({ connections });
    {
      await using killed = await Up.start(own.path);
      await killed.stop("SIGKILL");
    }
    const place = join(own.path, ".headwaters/.service");
    const left = readdirSync(place).filter((name) => name.startsWith("up-"));
    expect(left).toHaveLength(1);
    const gone = join(place, "up-gone.json");
    writeFileSync(gone, JSON.stringify({ host: "another machine", pid: 1, process: null, since: "yesterday" }));
    await expect(Up.start(own.path)).rejects.toThrow("process 1 on another machine, since yesterday");
    const past = new Date(Date.now() - 120_000);
    utimesSync(gone, past, past);
    await using next = await Up.start(own.path);
    expect(readdirSync(place).filter((name) => name.startsWith("up-"))).not.toContain(left[0]);
    expect(await next.stop()).toBe(0);
    expect(readdirSync(place).filter((name) => name.startsWith("up-"))).toEqual([]);
  });
});

describe("clients that hold on", () => {
  test("one that sends its headers slowly is let go", { timeout: 30_000 }, async () => {
    const socket = connect(up.port, "127.0.0.1");
    const began = performance.now();
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
    const drip = setInterval(() => socket.writable && socket.write("X-Slow: 1\r\n"), 500);
    socket.resume();
    await gone;
    clearInterval(drip);
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test("fifty readers of events are served, others wait, and the API answers at once", async () => {
    const stops = new AbortController();
    const readers = await Promise.all(
      Array.from({ length: 50 }, () => up.fetch("/api/v1/events", { signal: stops.signal })),
    );
    expect(readers.every(({ status }) => status === 200)).toBe(true);
    const began = performance.now();
    expect((await up.fetch("/api/v1/connections")).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(1_000);
    const more = await Promise.all(
      Array.from({ length: 20 }, () => up.fetch("/api/v1/events", { signal: stops.signal })),
    );
    expect(more.filter(({ status }) => status === 503)).toHaveLength(6);
    stops.abort();
    await wait(300);
    const after = new AbortController();
    expect((await up.fetch("/api/v1/events", { signal: after.signal })).status).toBe(200);
    after.abort();
  });

  test("one that reads nothing is let go, and costs no memory", async () => {
    const socket = connect(up.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${up.token}\r\n\r\n`);
    await new Promise((resolve) => socket.once("readable", resolve));
    socket.pause();
    for (let times = 0; times < 200; times++) {
      await up.act("shop", { action: "pause" });
      await up.act("shop", { action: "resume" });
    }
    expect((await up.fetch("/healthz")).status).toBe(200);
    socket.destroy();
  });
});

describe("another address than this machine's", () => {
  test.each([
    ["without a token that the user set", {}, "no token is set"],
    ["without TLS", { token: "a-token-that-is-long" }, "there is no TLS"],
    ["with a token that can be guessed", { token: "short", tls: "proxy" }, "must have at least 16 characters"],
    [
      "with a certificate that is not there",
      { token: "a-token-that-is-long", tls: { certificate: "a.pem", key: "k.pem" } },
      "can't be read",
    ],
  ])("%s is refused", async (_, service, message) => {
    await using own = await folderWith({ connections, service });
    await expect(Up.start(own.path, ["--host", "0.0.0.0"])).rejects.toThrow(message);
  });

  test("behind a proxy it is served by the names that are set", async () => {
    await using own = await folderWith({
      connections,
      service: { token: "a-token-that-is-long", tls: "proxy", hosts: ["copies.example"] },
    });
    await using other = await Up.start(own.path, ["--host", "0.0.0.0"]);
    const ask = (host: string, origin: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { Host: host, Origin: origin, Authorization: "Bearer a-token-that-is-long" };
        request({ host: "127.0.0.1", port: other.port, path: "/api/v1/service", headers }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
          .on("error", reject)
          .end();
      });
    expect(await ask("copies.example", "https://copies.example")).toBe(200);
    expect(await ask("copies.example", "https://evil.example")).toBe(403);
    expect(await ask("other.example", "https://other.example")).toBe(403);
    expect(other.stdout).not.toContain("a-token-that-is-long");
  });
});
