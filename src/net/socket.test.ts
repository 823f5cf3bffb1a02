import { once } from "node:events";
import { rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { connect, ConnectTimeout, firstBytes } from "./socket.ts";

const never = new AbortController().signal;
const opened: (Server | Socket)[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) {
    if ("destroy" in one) one.destroy();
    else one.close();
  }
});

async function listen(handle: (socket: Socket) => void, path?: string): Promise<number> {
  const server = createServer((socket) => {
    opened.push(socket.on("error", () => {}));
    handle(socket);
  });
  opened.push(server);
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

const plain = { host: "127.0.0.1", tls: null, timeout: 5_000 };

test("greets on a connection that is open, over TCP and over a unix socket", async () => {
  const path = join(tmpdir(), `headwaters-${process.pid}.sock`);
  const answer = (socket: Socket): void => void socket.end("hello");
  const greet = async (socket: Socket): Promise<string> => (await firstBytes(socket)).toString();
  expect(await connect({ ...plain, port: await listen(answer) }, never, greet)).toBe("hello");
  await listen(answer, path);
  expect(await connect({ ...plain, host: path, port: 0 }, never, greet)).toBe("hello");
  await rm(path, { force: true });
});

test("a server that does not do its part in time", async () => {
  let closed = 0;
  const port = await listen((socket) => void socket.resume().once("close", () => closed++));
  const during = async (tls: object | null, tlsTimeout?: number): Promise<unknown> => {
    const target = { ...plain, port, tls, timeout: 300, ...(tlsTimeout === undefined ? {} : { tlsTimeout }) };
    const thrown = await connect(target, never, firstBytes).catch((error: unknown) => error);
    return thrown instanceof ConnectTimeout ? `${thrown.during} ${thrown.message}` : thrown;
  };
  expect(await during(null)).toBe("login waited 0.3 s");
  expect(await during({})).toBe("tls waited 0.3 s");
  expect(await during({}, 100)).toBe("tls waited 0.1 s");
  await expect.poll(() => closed).toBe(3);
});

test("the signal ends it, wherever it is", async () => {
  const port = await listen((socket) => void socket.resume());
  for (const tls of [null, {}]) {
    const stop = new AbortController();
    const connecting = connect({ ...plain, port, tls }, stop.signal, firstBytes);
    setTimeout(() => stop.abort(new Error("stop")), 50);
    await expect(connecting).rejects.toThrow("stop");
    await expect(connect({ ...plain, port, tls }, stop.signal, firstBytes)).rejects.toThrow("stop");
  }
});

test("an abort later leaves the connection to its user", async () => {
  const port = await listen(() => {});
  const stop = new AbortController();
  const socket = await connect({ ...plain, port }, stop.signal, (socket) => socket);
  stop.abort();
  expect(socket.destroyed).toBe(false);
  socket.destroy();
});

test("what greeting throws closes the connection; a server that hangs up is an error", async () => {
  let closed = 0;
  const port = await listen((socket) => void socket.resume().once("close", () => closed++));
  const refuse = (): never => {
    throw new Error("no");
  };
  await expect(connect({ ...plain, port }, never, refuse)).rejects.toThrow("no");
  await expect.poll(() => closed).toBe(1);
  const curt = await listen((socket) => socket.end());
  await expect(connect({ ...plain, port: curt }, never, firstBytes)).rejects.toMatchObject({ code: "ECONNRESET" });
});
