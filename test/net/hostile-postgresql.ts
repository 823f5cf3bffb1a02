import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach } from "vitest";

export const opened: { close(): unknown }[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

export function message(kind: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const head = Buffer.alloc(5);
  head.write(kind, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const ready = message("Z", "I");
export const loggedIn = Buffer.concat([message("R", "\0\0\0\0"), message("K", "\0\0\0\x01\0\0\0\x02"), ready]);
/** Columns `a`, `backend_pid` and `backend_start` as text, and one row of them. */
export const field = (name: string): string => `${name}\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0`;
const described = message("T", `\0\x03${["a", "backend_pid", "backend_start"].map(field).join("")}`);
const cell = "\0\0\0\x011";
export const prepared = Buffer.concat([
  message("1"),
  message("2"),
  described,
  message("D", `\0\x03${cell}${cell}${cell}`),
]);
export const complete = Buffer.concat([message("C", "SELECT 1\0"), ready]);

/** Answers the login, then each query with the next of `answers`; after them nothing more. */
export async function serve(login: Buffer, ...answers: readonly Buffer[]): Promise<number> {
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

/** What the protocol does not allow, as a login and as an answer to a query. */
export const malformed: readonly (readonly [what: string, bytes: Buffer])[] = [
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
