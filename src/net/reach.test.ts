import { expect, test } from "vitest";
import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";
import { reach } from "./reach.ts";
import { ConnectionLost } from "./socket.ts";

function fails(code: ErrorCode): () => Promise<never> {
  return () => Promise.reject(new HeadwatersError(code, "said", { cause: "cause" }));
}

test("what never answered is a matter of the settings, or down (case 32)", async () => {
  const server = {};
  for (const code of ["HOST_UNKNOWN", "PROTOCOL_MISMATCH"] as const)
    await expect(reach(server, fails(code))).rejects.toMatchObject({ code, remedy: "reconfigure" });
  await expect(reach(server, fails("CONNECTION_REFUSED"))).rejects.toMatchObject({
    code: "CONNECTION_REFUSED",
    remedy: "retry",
  });
});

test("what answered is away for a while, until it answers again", async () => {
  const server = {};
  expect(await reach(server, () => Promise.resolve(1))).toBe(1);
  for (const code of ["HOST_UNKNOWN", "CONNECTION_REFUSED", "PROTOCOL_MISMATCH", "TLS_MISMATCH"] as const)
    await expect(reach(server, fails(code))).rejects.toMatchObject({
      code: "SERVER_UNAVAILABLE",
      remedy: "retry",
      message: "the server answered before, but does not answer now: said",
      cause: "cause",
    });
  expect(await reach(server, () => Promise.resolve(2))).toBe(2);
});

test("other errors stay what they are, and others' servers are not known", async () => {
  const server = {};
  await reach(server, () => Promise.resolve());
  for (const code of ["LOGIN_FAILED", "TLS_UNVERIFIED", "CONNECTION_TIMEOUT", "CONNECTION_LOST"] as const)
    await expect(reach(server, fails(code))).rejects.toMatchObject({ code });
  await expect(reach({}, fails("CONNECTION_REFUSED"))).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
});

test("a server that closes the connection at the first message is asked again, since it may restart", async () => {
  const asked = (closes: number): { readonly connect: () => Promise<number>; times: number } => {
    const server = {
      times: 0,
      async connect() {
        if (++server.times > closes) return server.times;
        throw new HeadwatersError("PROTOCOL_MISMATCH", "said", { cause: new ConnectionLost(false) });
      },
    };
    return server;
  };
  const restarting = asked(2);
  expect(await reach({}, restarting.connect)).toBe(3);
  const other = asked(Infinity);
  await expect(reach({}, other.connect)).rejects.toMatchObject({ code: "PROTOCOL_MISMATCH", remedy: "reconfigure" });
  expect(other.times).toBe(3);
});
