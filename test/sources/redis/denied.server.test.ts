import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { asHeadwatersError, type HeadwatersError } from "../../../src/protocol/errors.ts";
import type { CheckResult } from "../../../src/protocol/source.ts";
import { collectLarge } from "../../../src/sources/redis/values/collect-large.ts";
import { Members } from "../../../src/sources/redis/values/members.ts";
import { connectResp } from "../../../src/wire/resp/connection.ts";
import { type RedisServer, startOwnValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { openSource, readRows, signal, tableOf } from "./reading.ts";

async function failure(server: RedisServer, settings: Record<string, unknown> = {}): Promise<HeadwatersError> {
  await using source = await openSource(server, settings);
  const reading = async (): Promise<unknown> => readRows(source, await tableOf(source, "dragonfly_data"));
  return await reading().then(
    () => expect.fail("it did not fail"),
    (thrown: unknown) => asHeadwatersError(thrown),
  );
}

async function check(server: RedisServer, settings: Record<string, unknown> = {}): Promise<CheckResult[]> {
  await using source = await openSource(server, settings);
  const results: CheckResult[] = [];
  for await (const result of source.check(signal)) results.push(result);
  return results;
}

const without = (...commands: string[]): { readonly arguments: string[] } => ({
  arguments: commands.flatMap((command) => ["--rename-command", command, `RENAMED-${command}`]),
});

const fill = (server: RedisServer): Promise<void> =>
  server.runAll([
    ["SET", "text", "t"],
    ["HSET", "hash", "a", "1"],
    ...Array.from({ length: 3_000 }, (_, index) => ["HSET", "large", `field ${index}`, index]),
  ]);

for (const command of ["HSCAN", "WATCH", "EXEC", "GETRANGE"]) {
  await describeWith(
    () => startOwnValkey(without(command)),
    `a server without ${command} (case 38)`,
    (server) => {
      test("values are read with one command, and check says what is missing", async () => {
        await fill(server);
        await using source = await openSource(server);
        const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
        expect([...rows.values()].map(({ key, data_type: type, size }) => [key, type, size]).sort()).toEqual([
          ["hash", "hash", 1],
          ["large", "hash", 3_000],
          ["text", "string", 1],
        ]);
        expect((await check(server)).find(({ name }) => name === "privileges")!.message).toContain(
          `The server has no command ${command}`,
        );
      });
    },
  );
}

await describeWith(
  () => startOwnValkey(without("HSCAN", "HGETALL")),
  "no command for a type (case 38)",
  (server) => {
    test("the table fails, and no error text becomes a value", async () => {
      await fill(server);
      expect(await failure(server)).toMatchObject({
        code: "CONFIGURATION_INVALID",
        message: expect.stringMatching(/has no command H(SCAN|GETALL)$/),
      });
    });
  },
);

for (const command of ["INFO", "SCAN", "TIME"]) {
  await describeWith(
    () => startOwnValkey(without(command)),
    `a server without ${command} (case 38)`,
    (server) => {
      test("it is named, by check too", async () => {
        expect(await failure(server)).toMatchObject({
          code: "CONFIGURATION_INVALID",
          remedy: "reconfigure",
          message: expect.stringMatching(new RegExp(`has no command ${command}$`)),
        });
        const failed = (await check(server)).filter(({ status }) => status === "failed");
        expect(failed.map(({ message }) => message).join()).toContain(command);
      });
    },
  );
}

/** Before a server: words denials as Dragonfly does. */
async function likeDragonfly({ host, port }: RedisServer, user: string): Promise<AsyncDisposable & { port: number }> {
  const front = createServer((client) => {
    const behind = connect({ host, port });
    client.on("error", () => {}).on("close", () => behind.destroy());
    behind.on("error", () => {}).on("close", () => client.destroy());
    client.pipe(behind);
    behind.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      client.write(text.replaceAll(/NOPERM [^\r]*/g, `NOPERM ${user} has no ACL permissions`), "latin1");
    });
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  return {
    port: (front.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void front.close(),
  };
}

await describeWith(startOwnValkey, "denials that say nothing (cases 39, 55)", (server) => {
  const rights = (user: string, ...more: string[]): string[] => ["ACL", "SETUSER", user, "reset", "on", ">pw", ...more];

  test("a command: large values are read without WATCH, and check names it", async () => {
    await fill(server);
    await server.run(...(rights("monkey", "~*", "+@all", "-watch") as [string]));
    await using front = await likeDragonfly(server, "monkey");
    const user = { ...server, port: front.port, username: "monkey", password: "pw" };
    await using source = await openSource(user);
    const rows = await readRows(source, await tableOf(source, "dragonfly_data"));
    expect(rows.get("large")!["size"]).toBe(3_000);
    const privileges = (await check(user)).find(({ name }) => name === "privileges");
    expect(privileges!.message).toBe(
      'The user "monkey" may not run WATCH. Give the right with: ACL SETUSER monkey +watch',
    );
  });

  test("keys, and a command beside them", async () => {
    await server.run(...(rights("monkey", "~cache:*", "+@all", "-hscan") as [string]));
    await using front = await likeDragonfly(server, "monkey");
    const user = { ...server, port: front.port, username: "monkey", password: "pw" };
    const privileges = (await check(user, { key_pattern: ["cache:*", "other:*"] })).find(
      ({ name }) => name === "privileges",
    );
    expect(privileges!.message).toBe(
      'The user "monkey" may not run HSCAN. The user "monkey" may not read all keys of the pattern "other:*". Give the right with: ACL SETUSER monkey +hscan %R~other:*',
    );
    expect(await failure(user)).toMatchObject({
      code: "PRIVILEGE_MISSING",
      message: expect.stringContaining("or may not read all keys that key_pattern matches"),
    });
  });
});

test("a hash that is deleted between two HSCANs is gone (case 40)", async () => {
  // Older Dragonfly answers the cursor that it was given.
  const answers = [
    ...["+OK\r\n", "+hash\r\n", ":3\r\n", "*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n", "*2\r\n$2\r\n17\r\n*0\r\n"],
    ...["+OK\r\n", "*-1\r\n", "+OK\r\n", "+none\r\n", "+OK\r\n"],
  ];
  const server = createServer((socket) => {
    let greeted = false;
    socket.on("error", () => {});
    socket.on("data", () => {
      socket.write(greeted ? answers.shift()! : "+OK\r\n+OK\r\n+PONG\r\n");
      greeted = true;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const settings = { host: "127.0.0.1", port, username: null, password: null, database: 0, tls: null };
  const connection = await connectResp({ ...settings, timeout: 5_000, silence: 5_000 }, signal);
  connection.use(signal);
  expect(await collectLarge(connection, Buffer.from("k"), new Members(), 1 << 20)).toEqual({ kind: "gone" });
  expect(answers).toEqual([]);
  connection.destroy();
  server.close();
});

await describeWith(
  () => startOwnValkey({ arguments: ["--cluster-enabled", "yes"] }),
  "a cluster of one node (case 56)",
  (server) => {
    test("is warned of only if other nodes have keys", async () => {
      const warned = async (): Promise<boolean> => (await check(server)).some(({ name }) => name === "cluster");
      expect(await warned()).toBe(true);
      await server.run("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
      expect(await warned()).toBe(false);
    });
  },
);

test.each([
  ["*3\r\n$1\r\n0\r\n*0\r\n*0\r\n", "has not two parts"],
  ["*2\r\n$0\r\n\r\n*0\r\n", "is no cursor"],
  ["*2\r\n$2\r\n0x\r\n*0\r\n", "is no cursor"],
  ["*2\r\n:0\r\n*0\r\n", "is no string"],
  ["*2\r\n$1\r\n0\r\n$1\r\nk\r\n", "is no array"],
  ["*2\r\n$1\r\n0\r\n*1\r\n:5\r\n", "is no string"],
  ["$-1\r\n", "has not two parts"],
  ["+OK\r\n", "has not two parts"],
])("an answer to SCAN as %j does not end the pass (case 20)", async (scanned, message) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      const body = "run_id:1\r\nredis_version:7.0.0\r\nrole:master\r\n";
      if (text.includes("PING")) socket.write("+OK\r\n+OK\r\n+PONG\r\n");
      else if (text.includes("INFO")) socket.write(`$${body.length}\r\n${body}\r\n`);
      else if (text.includes("TIME")) socket.write("*2\r\n$10\r\n1790000000\r\n$1\r\n0\r\n");
      else if (text.includes("SCAN")) socket.write(scanned);
      else socket.write("-ERR unknown command 'X'\r\n");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const fake = { host: "127.0.0.1", port, username: null, password: null, database: 0 } as RedisServer;
  expect(await failure(fake)).toMatchObject({
    code: "PROTOCOL_MISMATCH",
    message: expect.stringContaining(message),
  });
  server.close();
});
