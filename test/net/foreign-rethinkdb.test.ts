import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { ReqlConnection } from "../../src/wire/reql/connection.ts";
import { ReqlConnectionError } from "../../src/wire/reql/failures.ts";

test("a server that waits for another protocol is known long before the connect timeout (case 50)", async () => {
  // As Redis does: it waits for the end of a line, which RethinkDB's handshake does not have.
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (data) => data.includes("PING\r\n") && socket.write("-NOAUTH Authentication required.\r\n"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    const address = { host: "127.0.0.1", port, user: "u", password: "p", tls: null };
    const began = performance.now();
    await expect(
      ReqlConnection.connect({ ...address, connectTimeout: 60_000, silence: 60_000 }, new AbortController().signal),
    ).rejects.toBeInstanceOf(ReqlConnectionError);
    expect(performance.now() - began).toBeLessThan(15_000);
  } finally {
    server.close();
  }
});
