import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asHeadwatersError, type HeadwatersError } from "../../../src/protocol/errors.ts";
import type { CheckResult } from "../../../src/protocol/source.ts";
import { ReqlConnection } from "../../../src/wire/reql/connection.ts";
import { term, termNumbers } from "../../../src/wire/reql/terms.ts";
import { makeCertificate } from "../../servers/certificate.ts";
import { fail } from "../../servers/rethinkdb/failure.ts";
import { type OwnRethink, startOwnRethinkdb, until } from "../../servers/rethinkdb.ts";
import { expectAway } from "../away.ts";
import { Copy, fast, openSource, operations, planOf, readPass, type Opening, signal, tableOf } from "./reading.ts";

/** What `discover` fails with. */
async function failure(server: OwnRethink, configuration: Record<string, unknown>): Promise<HeadwatersError> {
  await using source = await openSource(server, { configuration });
  return await source.discover(signal).then(
    () => expect.fail("it did not fail"),
    (thrown: unknown) => asHeadwatersError(thrown),
  );
}

async function checks(server: OwnRethink, settings: Opening = {}): Promise<CheckResult[]> {
  await using source = await openSource(server, settings);
  const results: CheckResult[] = [];
  for await (const result of source.check(signal)) results.push(result);
  return results;
}

const usersTable = term("TABLE", [term("DB", ["rethinkdb"]), "users"]);

describe("reaching RethinkDB", () => {
  let server: OwnRethink;
  let web: Server;

  beforeAll(async () => {
    server = await startOwnRethinkdb();
    await server.createTable("readable");
    await server.insert("readable", [{ id: 1 }]);
    await server.createTable("hidden");
    for (const id of ["reader", "nobody", "we,ird=x"])
      await server.run(term("INSERT", [usersTable, { id, password: "s3crét" }]));
    await server.run(term("GRANT", [term("DB", [server.database]), "reader", { read: true }]));
    await server.run(term("GRANT", [server.table("hidden"), "reader", { read: false }]));
    // Silent until a request is whole, as web servers are.
    web = createServer((_request, response) => response.end("web interface"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  });

  afterAll(async () => {
    web.closeAllConnections();
    web.close();
    await server[Symbol.asyncDispose]();
  });

  test.each([
    [{ host: "no.such.host.invalid" }, "HOST_UNKNOWN", /^host: the name "no.such.host.invalid"/],
    [{ username: "reader", password: "wr0ng" }, "LOGIN_FAILED", /^password: the server refuses .* "reader"/],
    [{ username: "ghost", password: "wr0ng" }, "LOGIN_FAILED", /^username: the server has no user "ghost"/],
    [{ username: "we,ird=x", password: "s3crét" }, "LOGIN_FAILED", /^username: the server has no user "we,ird=x"/],
    [{ database: "nope" }, "DATABASE_UNKNOWN", /^database: the server has no database "nope"/],
    [{ use_ssl: "true" }, "TLS_MISMATCH", /^use_ssl: the server at 127.0.0.1:\d+ does not speak TLS/],
  ])("%j is %s", async (configuration, code, message) => {
    const error = await failure(server, configuration);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(error.hint).not.toBeNull();
    expect(`${error.message} ${error.hint}`).not.toMatch(/s3crét|wr0ng/);
  });

  test("a database that is missing: those that exist are named", async () => {
    expect((await failure(server, { database: "nope" })).hint).toContain(server.database);
  });

  test("a password with letters of any kind", async () => {
    await using source = await openSource(server, { configuration: { username: "reader", password: "s3crét" } });
    expect((await source.discover(signal)).map((table) => table.id)).toEqual(["readable"]);
  });

  test("a port where nothing listens, or something else", { timeout: 20_000 }, async () => {
    const closed = createTcpServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const port = (closed.address() as AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    expect(await failure(server, { port })).toMatchObject({ code: "CONNECTION_REFUSED" });

    const webPort = (web.address() as AddressInfo).port;
    const error = await failure(server, { port: webPort, connect_timeout: 1 });
    expect(error.code).toBe("PROTOCOL_MISMATCH");
    expect(error.hint).toContain("web interface");

    for (const [said, hint] of [
      ["RethinkDB cluster\n2.4.4\n", "between servers"],
      ["SSH-2.0-OpenSSH_9.2\r\n", "28015"],
    ] as const) {
      const other = createTcpServer((socket) => void socket.on("error", () => {}).write(said));
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      const found = await failure(server, { port: (other.address() as AddressInfo).port });
      expect([found.code, found.hint]).toEqual(["PROTOCOL_MISMATCH", expect.stringContaining(hint)]);
      other.close();
    }
  });

  test("a connection that breaks within the first message says nothing of the port", async () => {
    const cut = createTcpServer((socket) => void socket.on("error", () => {}).end('{"max_protocol_ve'));
    await new Promise<void>((resolve) => cut.listen(0, "127.0.0.1", resolve));
    const { port } = cut.address() as AddressInfo;
    expect(await failure(server, { port })).toMatchObject({ code: "CONNECTION_LOST", remedy: "retry" });
    cut.close();
  });

  test("a port where nothing listens any more: the server is away", async () => {
    await expectAway(server, (port) => openSource(server, { configuration: { port } }));
  });

  test("a port that accepts and says nothing", { timeout: 20_000 }, async () => {
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const port = (silent.address() as AddressInfo).port;
    expect(await failure(server, { port, connect_timeout: 1 })).toMatchObject({
      code: "CONNECTION_TIMEOUT",
      remedy: "retry",
    });
    silent.close();
  });

  test("closing the source ends what is connecting", async () => {
    let came = 0;
    const silent = createTcpServer((socket) => {
      came++;
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const source = await openSource(server, { configuration: { port: (silent.address() as AddressInfo).port } });
    const discovered = source.discover(signal).then(() => null, asHeadwatersError);
    await until(() => came > 0);
    const began = performance.now();
    await source[Symbol.asyncDispose]();
    expect(await discovered).toMatchObject({ code: "CONNECTION_LOST" });
    expect(performance.now() - began).toBeLessThan(1_000);
    silent.close();
  });

  test("check tells step by step how things stand, and what the user may not read", async () => {
    const found = await checks(server, { configuration: { username: "reader", password: "s3crét" } });
    expect(found.map(({ name, status }) => `${name} ${status}`)).toEqual([
      "connect ok",
      "tls ok",
      "login ok",
      "database ok",
      "privileges warning",
      "table readable ok",
    ]);
    expect(found[4]!.message).toMatch(
      /"hidden": User `reader` does not have the required `read` permission.*grant\("reader", \{read: true\}\)/,
    );
    const nobody = await checks(server, { configuration: { username: "nobody", password: "s3crét" } });
    expect(nobody.at(-1)).toMatchObject({ name: "privileges", status: "failed" });
    const wrong = await checks(server, { configuration: { username: "reader", password: "x" } });
    expect(wrong.map(({ name, status }) => `${name} ${status}`)).toEqual(["connect ok", "login failed"]);
    expect(found.find(({ name }) => name === "rights")).toBeUndefined();
    const missing = await checks(server, { configuration: { database: "nope" } });
    expect(missing.find(({ name }) => name === "rights")).toMatchObject({ status: "warning" });
    expect(missing.at(-1)).toMatchObject({ name: "database", status: "failed" });
  });

  test("a table that may not be read is left out, and said", async () => {
    const warnings: string[] = [];
    await using source = await openSource(server, {
      warnings,
      configuration: { username: "reader", password: "s3crét" },
    });
    await source.discover(signal);
    await source.discover(signal);
    expect(warnings).toEqual([expect.stringMatching(/table "hidden": .*it is left out/)]);
  });
});

describe("RethinkDB over TLS", () => {
  const authority = makeCertificate({ commonName: "an authority" });
  const tls = makeCertificate({ commonName: "server", hosts: ["127.0.0.1"], authority });
  let server: OwnRethink;

  beforeAll(async () => {
    server = await startOwnRethinkdb({ tls, authority: authority.certificate });
    await server.createTable("t");
    await server.insert("t", [{ id: 1 }]);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("reads with the authority; without it the certificate is refused", async () => {
    await using copy = await Copy.make();
    const file = `${copy.path}.pem`;
    await writeFile(file, authority.certificate);
    await using source = await openSource(server, { configuration: { use_ssl: "true", ssl_ca: file } });
    const { rows } = await readPass(source, await planOf(source, await tableOf(source, "t"), "full"));
    expect(rows.size).toBe(1);
    expect(await failure(server, { use_ssl: "true" })).toMatchObject({ code: "TLS_UNVERIFIED" });
    const missing = openSource(server, { configuration: { use_ssl: "true", ssl_ca: "/no/such/file" } });
    await expect(missing).rejects.toMatchObject({ code: "CONFIGURATION_INVALID", message: /^ssl_ca/ });
  });

  test("without TLS the server would never answer: it is told why", { timeout: 20_000 }, async () => {
    expect(await failure(server, { connect_timeout: 1 })).toMatchObject({ code: "TLS_MISMATCH" });
  });
});

describe("RethinkDB in trouble", () => {
  let server: OwnRethink;

  beforeAll(async () => {
    server = await startOwnRethinkdb();
    await server.createTable("t");
    await server.insert(
      "t",
      Array.from({ length: 3_000 }, (_, id) => ({ id, text: "x".repeat(500) })),
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  /** What a reading of `t` ends with once something was done after its first rows. */
  async function interrupted(meanwhile: () => Promise<void> | void, configuration = {}): Promise<HeadwatersError> {
    await using source = await openSource(server, { configuration });
    const pass = await planOf(source, await tableOf(source, "t"), "full");
    let first = true;
    try {
      for await (const operation of operations(source, pass, fast)) {
        if (!first || operation.kind !== "upsert") continue;
        first = false;
        await meanwhile();
      }
    } catch (thrown) {
      return asHeadwatersError(thrown);
    }
    return expect.fail("it looked complete");
  }

  test("the end of the connection, between answers or inside of one, is never the end of the data", async () => {
    const between = await interrupted(async () => {
      await server.server.stop();
    });
    expect([between.code, between.remedy]).toEqual(["CONNECTION_LOST", "retry"]);
    await server.server.restart();
    await wait(700);
    let answers = 0;
    server.server.behaviour.breakAfter = (answer) => (answer.length > 200_000 && ++answers === 2 ? 60_000 : null);
    const inside = await interrupted(() => {});
    server.server.behaviour.breakAfter = null;
    expect([inside.code, inside.message]).toEqual(["CONNECTION_LOST", expect.stringMatching(/after \d+ of \d+ bytes/)]);
  });

  test("reads that fail after a restart are tried again; a table that does not exist is not", async () => {
    await server.server.restart();
    await using source = await openSource(server);
    const unavailable = await source.discover(signal).then(() => null, asHeadwatersError);
    expect(unavailable).toMatchObject({ code: "SERVER_UNAVAILABLE", remedy: "retry" });
    await wait(700);
    const table = await tableOf(source, "t");
    const missing = planOf(source, { ...table, id: "no_such_table" }, "full");
    await expect(missing).rejects.toMatchObject({ code: "TABLE_UNKNOWN", remedy: "reconfigure" });
  });

  test("a sync goes on by itself when the server restarts in the middle", { timeout: 60_000 }, async () => {
    await using copy = await Copy.make();
    let restarted: Promise<void> | null = null;
    const runs = await copy.sync(server, {
      engine: { batchBytes: 16 << 10 },
      report: (event) => {
        if (event.kind === "read") restarted ??= server.server.restart();
      },
    });
    expect(runs["t"]).toMatchObject({ outcome: "whole", inserted: 3_000 });
    expect((await copy.verify(server)).verdict).toBe("CONVERGED");
  });

  test("a sync outlasts a server that is down for some seconds", { timeout: 60_000 }, async () => {
    await using copy = await Copy.make();
    let down: Promise<void> | null = null;
    const retried: string[] = [];
    const runs = await copy.sync(server, {
      engine: { batchBytes: 16 << 10 },
      report: (event) => {
        if (event.kind === "retry") retried.push(event.error.code);
        if (event.kind !== "read") return;
        down ??= (async () => {
          await server.server.stop();
          await wait(3_000);
          await server.server.restart();
        })();
      },
    });
    expect([runs["t"]!.error, runs["t"]!.outcome]).toEqual([null, "whole"]);
    expect(retried).toContain("SERVER_UNAVAILABLE");
    expect(runs["t"]!.inserted).toBe(3_000);
  });

  test(
    "a table that the server can't read fails alone, whether it has a copy or not",
    { timeout: 60_000 },
    async () => {
      await server.createTable("bad");
      await server.insert("bad", [{ key: 1, id: 2 }]);
      const trouble = (message: string, only = ""): void => {
        server.server.behaviour.onQuery = (query) => {
          const text = JSON.stringify(query);
          if (text.includes('"bad"') && text.includes(only)) throw fail("failed", message, []);
        };
      };
      const unavailable = 'Cannot perform read: primary replica for shard ["", +inf) not available';
      const engine = { attempts: 1 };
      await using copy = await Copy.make();
      for (const copied of [false, true]) {
        trouble(unavailable);
        const runs = await copy.sync(server, { engine });
        expect([runs["t"]!.outcome, runs["bad"]!.error]).toEqual([
          "whole",
          expect.objectContaining({ code: "SERVER_UNAVAILABLE", message: expect.stringMatching(/^table "bad"/) }),
        ]);
        server.server.behaviour.onQuery = null;
        expect((await copy.sync(server, { engine }))["bad"]).toMatchObject({
          outcome: "whole",
          inserted: copied ? 0 : 1,
        });
      }
      await server.run(term("TABLE_DROP", [term("DB", [server.database]), "bad"]));
    },
  );

  test("a key that is not told, and is not the one that was assumed", async () => {
    await server.createTable("bad", { primary_key: "key" });
    await server.insert("bad", [{ key: 1 }]);
    server.server.behaviour.onQuery = (query) => {
      if (JSON.stringify(query).startsWith(`[1,[${termNumbers.INFO},`)) throw fail("logic", "no table status", []);
    };
    await using source = await openSource(server);
    const table = await tableOf(source, "bad");
    const refused = planOf(source, table, "full");
    await expect(refused).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringMatching(/does not report its primary key \(no table status\), and it is not "id"/),
    });
    server.server.behaviour.onQuery = null;
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "bad"]));
  });

  test("a frozen server ends in a timeout, a slow one does not", { timeout: 30_000 }, async () => {
    const { behaviour } = server.server;
    const began = performance.now();
    const frozen = await interrupted(() => void (behaviour.frozen = true), { read_timeout: 2 });
    behaviour.frozen = false;
    expect([frozen.code, frozen.remedy]).toEqual(["READ_TIMEOUT", "retry"]);
    expect(performance.now() - began).toBeLessThan(8_000);
    behaviour.delay = 2_600;
    const address = { host: server.host, port: server.port, user: "admin", password: "", tls: null };
    const connection = await ReqlConnection.connect({ ...address, connectTimeout: 5_000, silence: 2_000 }, signal);
    expect(await connection.value(term("DB_LIST"), {}, signal)).toContain(server.database);
    behaviour.delay = 0;
    connection.destroy();
  });

  test("a sample of large documents is cut short", { timeout: 30_000 }, async () => {
    await server.createTable("large");
    for (let first = 0; first < 300; first += 50) {
      const documents = Array.from({ length: 50 }, (_, n) => ({
        id: first + n,
        [`f${first + n}`]: "x".repeat(200_000),
      }));
      await server.insert("large", documents);
    }
    let sent = 0;
    server.server.behaviour.breakAfter = (answer) => {
      sent += answer.length;
      return null;
    };
    await using source = await openSource(server);
    const { columns } = await tableOf(source, "large");
    server.server.behaviour.breakAfter = null;
    const seen = columns.map(({ name }) => name);
    expect([seen.includes("f0"), seen.includes("f299"), seen.some((name) => /^f1\d\d$/.test(name))]).toEqual([
      true,
      true,
      true,
    ]);
    expect(sent).toBeLessThan(24 << 20);
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "large"]));
  });

  test("a table that is dropped while it is read is looked at anew", async () => {
    await server.createTable("short");
    await server.insert(
      "short",
      Array.from({ length: 3_000 }, (_, id) => ({ id, text: "x".repeat(500) })),
    );
    await using source = await openSource(server);
    const pass = await planOf(source, await tableOf(source, "short"), "full");
    const reading = operations(source, pass, { ...fast, batchBytes: 4 << 10 });
    await reading.next();
    await server.run(term("TABLE_DROP", [term("DB", [server.database]), "short"]));
    const drained = (async () => {
      while ((await reading.next()).done !== true);
    })();
    await expect(drained).rejects.toMatchObject({ code: "TABLE_CHANGED" });
  });

  test("many queries run on one connection at the same time, and leave no connection behind", async () => {
    const before = server.server.connections;
    const source = await openSource(server);
    await source.discover(signal);
    const table = await tableOf(source, "t");
    for (let round = 0; round < 10; round++) {
      const pass = await planOf(source, table, "full");
      for await (const operation of operations(source, pass)) if (operation.kind === "upsert") break;
    }
    expect(server.server.connections - before).toBeLessThanOrEqual(2);
    await source[Symbol.asyncDispose]();
    await until(() => server.server.connections === before);
  });
});
