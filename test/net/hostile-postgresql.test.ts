import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { asHeadwatersError } from "../../src/protocol/errors.ts";
import { connectPostgres, type PostgresConnection } from "../../src/wire/postgres/connection.ts";
import { complete, field, loggedIn, malformed, message, opened, prepared, ready, serve } from "./hostile-postgresql.ts";

const never = new AbortController().signal;

function open(port: number): Promise<PostgresConnection> {
  return connectPostgres(
    {
      ...{ host: "127.0.0.1", port, database: "d", user: "u", password: "p" },
      ...{ ssl: { sslmode: "disable" }, connectTimeout: 3_000, statementTimeout: null, silence: 1_000, readOnly: true },
    },
    never,
  );
}

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
