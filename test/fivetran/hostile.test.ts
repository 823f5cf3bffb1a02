import { fileURLToPath } from "node:url";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadProtocol } from "../../src/fivetran/protocol.ts";
import { complete, loggedIn, malformed, prepared, serve } from "../net/hostile-postgresql.ts";
import { ServeProcess } from "./serve-process.ts";

const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

interface Method {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

/** What a server that serves does when a customer names a host that speaks no sound PostgreSQL. */
describe("one Test against a hostile host (case 19)", () => {
  let server: ServeProcess;
  let client: Client;

  beforeAll(async () => {
    server = await ServeProcess.start(process.execPath, ["--import", "tsx", program, "serve", "postgresql"]);
    client = new Client(server.address, credentials.createInsecure());
  });

  afterAll(async () => {
    client.close();
    expect(await server.stop()).toBe(0);
  });

  function call(name: "Test" | "ConfigurationForm", request: object): Promise<object> {
    const method = (loadProtocol().service as unknown as Readonly<Record<string, Method>>)[name]!;
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + 20_000;
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline },
        (error, answer) => (error === null ? resolve(answer!) : reject(error)),
      );
    });
  }

  async function fails(port: number): Promise<void> {
    const configuration = {
      ...{ host: "127.0.0.1", port: String(port), database: "d", user: "u", password: "p" },
      ...{ sslmode: "disable", connect_timeout: "2", read_timeout: "1" },
    };
    expect(await call("Test", { name: "connect", configuration })).toMatchObject({
      failure: expect.stringMatching(/127\.0\.0\.1/),
    });
    // The process lives, and serves others.
    expect(await call("ConfigurationForm", {})).toHaveProperty("fields");
  }

  test.each(malformed)("%s at a login", async (_, bytes) => {
    await fails(await serve(bytes));
  });

  test.each(malformed)("%s in an answer", async (_, bytes) => {
    await fails(await serve(loggedIn, Buffer.concat([bytes, prepared, complete])));
  });
});
