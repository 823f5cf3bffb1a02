import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { asHeadwatersError } from "../../src/protocol/errors.ts";
import { connectPostgres, type PostgresConnection } from "../../src/wire/postgres/connection.ts";

const never = new AbortController().signal;
const opened: { close(): unknown }[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

function message(kind: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const head = Buffer.alloc(5);
  head.write(kind, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const ready = message("Z", "I");
const loggedIn = Buffer.concat([message("R", "\0\0\0\0"), message("K", "\0\0\0\x01\0\0\0\x02"), ready]);
/** Columns `a`, `backend_pid` and `backend_start` as text, and one row of them. */
const field = (name: string): string => `${name}\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0`;
const described = message("T", `\0\x03${["a", "backend_pid", "backend_start"].map(field).join("")}`);
const cell = "\0\0\0\x011";
const prepared = Buffer.concat([message("1"), message("2"), described, message("D", `\0\x03${cell}${cell}${cell}`)]);
const complete = Buffer.concat([message("C", "SELECT 1\0"), ready]);

/** Answers the login, then each query with the next of `answers`; after them nothing more. */
async function serve(login: Buffer, ...answers: readonly Buffer[]): Promise<number> {
  const left = new WeakMap<Socket, Buffer[]>();
  const server = createServer((socket) => {
    left.set(socket, [login, ...answers]);
    socket.on("error", () => {});
    socket.on("data", () => {
      const next = left.get(socket)!.shift();
      if (next !== undefined) socket.write(next);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(server);
  return (server.address() as AddressInfo).port;
}

function open(port: number): Promise<PostgresConnection> {
  return connectPostgres(
    {
      ...{ host: "127.0.0.1", port, database: "d", user: "u", password: "p" },
      ...{ ssl: { sslmode: "disable" }, connectTimeout: 3_000, statementTimeout: null, silence: 1_000, readOnly: true },
    },
    never,
  );
}

/** What the protocol does not allow, as a login and as an answer to a query. */
const malformed: readonly (readonly [what: string, bytes: Buffer])[] = [
  ["a row of -2 fields", message("D", "\xff\xfe")],
  ["a row that says more than it has", message("D", "\0\x02\0\0\0\x05hello")],
  ["a description cut short", message("T", "\0\x05x")],
  ["an unknown way to log in", message("R", "\0\0\x01\0")],
  ["a length of 0", Buffer.from("S\0\0\0\0", "latin1")],
  ["a length of 4 GiB", Buffer.from("E\xff\xff\xff\xff", "latin1")],
  ["an error of 1 GiB", Buffer.from("E\x40\0\0\0SERROR", "latin1")],
  ["an error without an end", message("E", "SERROR\0Mhello\0")],
  ["a notice whose last field has no end", message("N", "SNOTICE\0Mhello")],
  ["an unknown kind", message("S", "a\0b\0", "\0").fill("x", 0, 1)],
  ["a COPY that was not asked for", Buffer.concat([message("G", "\x01\xff\xff"), message("d", "x")])],
];

describe("PostgreSQL's protocol, broken (case 19)", () => {
  test.each(malformed)("%s at a login", async (_what, bytes) => {
    const error = await open(await serve(bytes)).then(() => expect.fail("it connected"), asHeadwatersError);
    expect(["PROTOCOL_MISMATCH", "CONNECTION_TIMEOUT"]).toContain(error.code);
    expect(error.message).toMatch(/127\.0\.0\.1:\d+/);
  });

  test.each(malformed)("%s in an answer", async (_what, bytes) => {
    const port = await serve(loggedIn, Buffer.concat([prepared, complete]), Buffer.concat([bytes, complete]));
    const connection = await open(port);
    await expect(connection.simple("SELECT 1", never)).rejects.toMatchObject({
      code: expect.stringMatching(/^(PROTOCOL_MISMATCH|CONNECTION_LOST|SOURCE_FAILED)$/) as string,
      message: expect.stringMatching(/./) as string,
    });
    connection.destroy();
  });

  test("an answer without its end is none (case 20)", async () => {
    const connection = await open(await serve(loggedIn, Buffer.concat([prepared, complete]), ready, ready));
    await expect(connection.simple("SELECT 1", never)).rejects.toMatchObject({ code: "PROTOCOL_MISMATCH" });
    const copying = connection.copyIn("COPY t FROM STDIN");
    await expect(copying.end()).rejects.toThrow("a COPY that ends without the number of its rows");
    connection.destroy();
  });

  test.each([
    ["CopyDone", message("C", "COPY 1\0")],
    ["CommandComplete", message("c")],
  ])("a COPY without %s is an error (case 20)", async (_what, end) => {
    const rows = Buffer.concat([message("H", "\x01\0\0"), message("d", "row"), end, ready]);
    const connection = await open(await serve(loggedIn, Buffer.concat([prepared, complete]), rows));
    const reading = connection.copy("COPY t TO STDOUT", never);
    await reading.next();
    await expect(reading.next()).rejects.toMatchObject({ code: "PROTOCOL_MISMATCH" });
    connection.destroy();
  });

  test("a flood of rows ends in bounded memory (case 21)", async () => {
    const row = message("D", "\0\x01\0\x10\0\0", Buffer.alloc(1 << 20, "x"));
    const flood = Buffer.concat(Array.from({ length: 16 }, () => row));
    const server = createServer((socket) => {
      let step = 0;
      socket.on("error", () => {});
      socket.on("drain", () => void socket.write(flood));
      socket.on("data", () => {
        step += 1;
        if (step === 1) socket.write(loggedIn);
        else if (step === 2) socket.write(Buffer.concat([prepared, complete]));
        else socket.write(Buffer.concat([message("T", `\0\x01${field("a")}`), flood]));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    opened.push(server);
    const connection = await open((server.address() as AddressInfo).port);
    await expect(connection.simple("SELECT 1", never)).rejects.toMatchObject({
      code: "PROTOCOL_MISMATCH",
      message: expect.stringContaining("more than 512 MiB of rows") as string,
    });
  });
});
