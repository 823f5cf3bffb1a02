import { createServer, type Server, type Socket } from "node:net";
import { expect, test, vi } from "vitest";
import type { CheckResult, Source } from "../../../src/protocol/source.ts";
import { asHeadwatersError, type HeadwatersError } from "../../../src/protocol/errors.ts";
import { serverErrors, sourceError } from "../../../src/sources/redis/errors.ts";
import { Pool } from "../../../src/sources/redis/pool.ts";
import { RespError } from "../../../src/wire/resp/errors.ts";
import { makeCertificate } from "../../servers/certificate.ts";
import { type RedisServer, startOwnRedisStack, startOwnValkey, startRedisStack } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { expectAway } from "../away.ts";
import { Copy } from "./copying.ts";
import { openSource, readRows, settingsOf, signal, tableOf } from "./reading.ts";

/** What `discover` fails with. */
async function failure(server: RedisServer, settings: Record<string, unknown> = {}): Promise<HeadwatersError> {
  await using source = await openSource(server, settings);
  return await source.discover(signal).then(
    () => expect.fail("it did not fail"),
    (thrown: unknown) => asHeadwatersError(thrown),
  );
}

async function checks(source: Source): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of source.check(signal)) results.push(result);
  return results;
}

await describeWith(
  () => startOwnValkey({ arguments: ["--requirepass", "s3cret", "--maxclients", "12"] }),
  "logging in",
  (bare) => {
    const server = { ...bare, password: "s3cret" };

    test("tells what is wrong, by the names of the settings, without the password", async () => {
      for (const [settings, code, message] of [
        [{ password: "" }, "LOGIN_FAILED", /^password: the server at 127.0.0.1:\d+ requires a password/],
        [{ password: "wr0ng" }, "LOGIN_FAILED", /refuses the user "default"/],
        [{ username: "nobody", password: "wr0ng" }, "LOGIN_FAILED", /refuses the user "nobody"/],
        [{ database: "99" }, "DATABASE_UNKNOWN", /^database: the server has no database 99/],
        [{ host: "no.such.host.invalid" }, "HOST_UNKNOWN", /^host: the name "no.such.host.invalid"/],
      ] as const) {
        const error = await failure(server, settings);
        expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
        expect(error.hint).not.toBeNull();
        expect(`${error.message} ${error.hint}`).not.toMatch(/s3cret|wr0ng/);
      }
    });

    test("a server without a free connection is tried again, and said to be full", { timeout: 20_000 }, async () => {
      const pool = new Pool({ ...connection(server), timeout: 5_000 }, { debug() {}, info() {}, warn() {} });
      await using full = pool;
      const attempts: Promise<unknown>[] = [];
      for (let count = 0; count < 15; count++) attempts.push(full.take(signal, 1).then(() => null));
      const refused = (await Promise.allSettled(attempts)).filter((result) => result.status === "rejected");
      expect(refused.length).toBeGreaterThan(0);
      const error = asHeadwatersError(refused[0]!.reason);
      expect(["SERVER_UNAVAILABLE", "CONNECTION_LOST"]).toContain(error.code);
      expect(error.remedy).toBe("retry");
    });
  },
);

await describeWith(startOwnValkey, "a user with few rights", (server) => {
  const reader = { ...server, username: "reader", password: "pw" };
  const rights = ["ACL", "SETUSER", "reader", "reset", "on", ">pw", "~*", "+@all"];

  test("is told the command that is missing, by check and by sync", async () => {
    await server.runAll([
      ["HSET", "hash", "a", "1"],
      [...rights, "-hscan", "-watch"],
    ]);
    await using source = await openSource(reader);
    const privileges = (await checks(source)).find(({ name }) => name === "privileges")!;
    expect((await checks(source)).find(({ name }) => name === "rights")).toMatchObject({ status: "warning" });
    expect(privileges.status).toBe("failed");
    expect(privileges.message).toContain("ACL SETUSER reader +hscan +watch");
    const error = asHeadwatersError(
      await readRows(source, await tableOf(source, "dragonfly_data")).catch((thrown: unknown) => thrown),
    );
    expect([error.code, error.message]).toEqual([
      "PRIVILEGE_MISSING",
      'the user "reader" may not run the command HSCAN',
    ]);
  });

  test("is told of keys that it may not read, rather than they being left out", async () => {
    await server.runAll([
      ["SET", "other", "x"],
      [...rights, "-@write", "resetkeys", "~cache:*"],
    ]);
    await using source = await openSource(reader);
    const error = asHeadwatersError(
      await readRows(source, await tableOf(source, "dragonfly_data")).catch((thrown: unknown) => thrown),
    );
    expect([error.code, error.message]).toEqual([
      "PRIVILEGE_MISSING",
      expect.stringContaining("may not read all keys that key_pattern matches"),
    ]);
    await server.run("SET", "cache:1", "x");
    await using narrow = await openSource(reader, { key_pattern: "cache:*" });
    expect((await checks(narrow)).filter(({ status }) => status !== "ok")).toEqual([]);
    expect([...(await readRows(narrow, await tableOf(narrow, "dragonfly_data"))).keys()]).toEqual(["cache:1"]);
  });

  test.each(["watch", "multi", "exec"])("without %s large values are read with one command", async (command) => {
    await server.runAll([
      ["FLUSHALL"],
      [...rights, `-${command}`],
      ...Array.from({ length: 3_000 }, (_, index) => ["RPUSH", "list", index]),
    ]);
    await using source = await openSource(reader);
    const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
    expect(rows.get("list")!["size"]).toBe(3_000);
    const privileges = (await checks(source)).find(({ name }) => name === "privileges")!;
    expect([privileges.status, privileges.message]).toEqual([
      "warning",
      expect.stringContaining(`ACL SETUSER reader +${command}`),
    ]);
  });

  test("is told the commands that only verify needs", async () => {
    const only = ["get", "hgetall", "smembers", "xrevrange"].map((command) => `-${command}`);
    await server.run(...([...rights, ...only] as string[]));
    await using source = await openSource(reader);
    const privileges = (await checks(source)).find(({ name }) => name === "privileges")!;
    expect([privileges.status, privileges.message]).toEqual([
      "warning",
      expect.stringContaining("ACL SETUSER reader +xrevrange +get +hgetall +smembers"),
    ]);
  });
});

const authority = makeCertificate({ commonName: "Test authority" });
const own = makeCertificate({ commonName: "server", hosts: ["localhost", "127.0.0.1"], authority });
const tls = [
  "--tls-cert-file",
  "{folder}/server.crt",
  "--tls-key-file",
  "{folder}/server.key",
  "--tls-auth-clients",
  "no",
];
/** A server with a port for TLS beside the plain one. */
async function startEncrypted() {
  const port = await freePort();
  const server = await startOwnRedisStack({
    arguments: [...tls, "--tls-port", String(port)],
    files: { "server.crt": own.certificate, "server.key": own.key, "authority.crt": authority.certificate },
  });
  return { ...server, encrypted: { ...server, port } };
}

await describeWith(startEncrypted, "TLS", (server) => {
  test("with a certificate that verifies", async () => {
    await using source = await openSource(server.encrypted, {
      ssl: "true",
      ssl_ca: `${server.folder}/authority.crt`,
    });
    expect((await source.discover(signal)).length).toBeGreaterThan(0);
    expect((await checks(source))[0]!.message).toContain("the certificate verified");
  });

  test("with one that does not", async () => {
    expect(await failure(server.encrypted, { ssl: "true" })).toMatchObject({
      code: "TLS_UNVERIFIED",
      hint: expect.stringContaining("ssl_ca"),
    });
    await using source = await openSource(server.encrypted, { ssl: "true", ssl_verify: "false" });
    expect((await source.discover(signal)).length).toBeGreaterThan(0);
  });

  test("to a port without, and without to one with it", { timeout: 60_000 }, async () => {
    expect(await failure(server, { ssl: "true" })).toMatchObject({
      code: "TLS_MISMATCH",
      message: expect.stringContaining("has no TLS at this port"),
    });
    expect(await failure(server.encrypted)).toMatchObject({
      code: "TLS_MISMATCH",
      message: expect.stringContaining("requires TLS, but ssl is false"),
    });
  });

  test("a file that is not there is named", async () => {
    await expect(openSource(server, { ssl: "true", ssl_ca: "/no/such/file.pem" })).rejects.toThrow(
      "ssl_ca: the file can't be read: ENOENT: no such file or directory, open '/no/such/file.pem'",
    );
  });
});

await describeWith(
  () => startRedisStack(11),
  "what else can be at a port",
  (server) => {
    test("nothing: it is tried three times", { timeout: 20_000 }, async () => {
      const port = await freePort();
      const began = Date.now();
      const error = await failure({ ...server, port });
      expect(error).toMatchObject({
        code: "CONNECTION_REFUSED",
        message: `port: nothing listens at 127.0.0.1:${port}`,
      });
      // 0.5 to 1 s after the first, 1 to 2 s after the second.
      expect(Date.now() - began).toBeGreaterThan(1_400);
    });

    test("nothing any more: it is away", { timeout: 60_000 }, async () => {
      await expectAway(server, (port) => openSource({ ...server, port }));
    });

    test("an HTTP server", async () => {
      await using other = await listen((socket) =>
        socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
      );
      expect(await failure({ ...server, port: other.port })).toMatchObject({
        code: "PROTOCOL_MISMATCH",
        message: expect.stringContaining("an HTTP server answers"),
      });
    });

    test("one that never answers", async () => {
      await using silent = await listen(() => {});
      await using pool = new Pool(
        { ...connection(server), port: silent.port, timeout: 200 },
        { debug() {}, info() {}, warn() {} },
      );
      await expect(pool.take(signal, 1)).rejects.toMatchObject({ code: "READ_TIMEOUT" });
    });
  },
);

await describeWith(
  () => startOwnValkey({ arguments: ["--enable-debug-command", "yes"] }),
  "in the middle",
  (server) => {
    test("connections that are cut are made again, and nothing is lost", { timeout: 60_000 }, async () => {
      await server.runAll(Array.from({ length: 20_000 }, (_, index) => ["SET", `key:${index}`, `value ${index}`]));
      await using copy = await Copy.make();
      let cuts = 0;
      const cutting = setInterval(() => {
        if (cuts++ < 3) void server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      }, 30);
      try {
        const run = (await copy.sync(server, {}, { engine: { batchBytes: 4_000 } }))["dragonfly_data"]!;
        expect([run.outcome, run.error]).toEqual(["whole", null]);
      } finally {
        clearInterval(cutting);
      }
      expect(cuts).toBeGreaterThan(1);
      expect((await copy.verify(server)).verdict).toBe("CONVERGED");
    });

    test("a server that is still loading is told, and read once it has loaded", { timeout: 60_000 }, async () => {
      await server.run("FLUSHALL");
      await server.runAll(Array.from({ length: 4_000 }, (_, index) => ["SET", `key:${index}`, "x"]));
      await server.run("SAVE");
      const options = [
        "--dir",
        server.folder,
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
      ];
      await using slow = await startOwnValkey({ arguments: options });
      await slow.stop();
      const starting = slow.start();
      try {
        // It answers LOADING for about four seconds: longer than a client waits that came before it listened.
        const isLoading = async (): Promise<void> => {
          await using source = await openSource(slow);
          const [first] = await checks(source);
          expect(first).toMatchObject({
            status: "failed",
            message: expect.stringContaining("is still loading its data"),
          });
        };
        await vi.waitFor(isLoading, { timeout: 20_000 });
        await using source = await openSource(slow);
        const isRead = async (): Promise<void> => {
          expect((await source.discover(signal))[0]!.estimatedRows).toBe(4_000);
        };
        await vi.waitFor(isRead, { timeout: 30_000 });
      } finally {
        await starting;
      }
    });
  },
);

test("every error of the tables has a code and a hint", () => {
  const context = { host: "h", port: 1, username: null, database: 0, tls: false };
  const samples: Readonly<Record<string, string>> = {
    "NOAUTH Authentication required.": "LOGIN_FAILED",
    "WRONGPASS invalid username-password pair or user is disabled.": "LOGIN_FAILED",
    "ERR Client sent AUTH, but no password is set": "LOGIN_FAILED",
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?":
      "LOGIN_FAILED",
    "DENIED Redis is running in protected mode": "LOGIN_FAILED",
    "ERR DB index is out of range": "DATABASE_UNKNOWN",
    "NOPERM User reader has no permissions to run the 'hscan' command": "PRIVILEGE_MISSING",
    "NOPERM No permissions to access a key": "PRIVILEGE_MISSING",
    "NOPERM monkey has no ACL permissions": "PRIVILEGE_MISSING",
    "ERR Bad TLS header, double check if you enabled TLS for your client.": "TLS_MISMATCH",
    "ERR unknown command 'INFO', with args beginning with: ": "CONFIGURATION_INVALID",
    "LOADING Redis is loading the dataset in memory": "SERVER_UNAVAILABLE",
    "ERR max number of clients reached": "SERVER_UNAVAILABLE",
    "BUSY Redis is busy running a script.": "SERVER_UNAVAILABLE",
    "ERR unknown command 'PEXPIRETIME', with args beginning with: 'key' ": "CONFIGURATION_INVALID",
    "MOVED 3999 127.0.0.1:6381": "CONFIGURATION_INVALID",
    "ERR something new": "SOURCE_FAILED",
  };
  for (const [text, code] of Object.entries(samples))
    expect([text, sourceError(new RespError(text), context).code]).toEqual([text, code]);
  expect(serverErrors.filter(([pattern]) => !Object.keys(samples).some((text) => pattern.test(text)))).toEqual([]);
});

function connection(server: RedisServer) {
  const { host, port, username, password } = server;
  return {
    host,
    port,
    username,
    password,
    database: Number(settingsOf(server)["database"]),
    tls: null,
    silence: 60_000,
  };
}

async function listen(onSocket: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function freePort(): Promise<number> {
  await using server = await listen(() => {});
  return server.port;
}
