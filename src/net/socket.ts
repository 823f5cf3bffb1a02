import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

/** How a server is reached. */
export interface Target {
  /** A name, an address, or the path of a unix socket. */
  readonly host: string;
  readonly port: number;
  /** The port on this side; absent: any. */
  readonly localPort?: number | undefined;
  /** `null`: not encrypted, or not from the first byte on (see {@link startTls}). */
  readonly tls: ConnectionOptions | null;
  /** For the whole of connecting, with what `greet` does, in milliseconds. */
  readonly timeout: number;
  /** For the TLS handshake alone, in milliseconds; absent: what is left of `timeout`. */
  readonly tlsTimeout?: number;
}

/** A server did not do its part in time. */
export class ConnectTimeout extends Error {
  /** What was under way: the connection itself, the TLS handshake, or the login of the protocol. */
  readonly during: "connect" | "tls" | "login";

  constructor(during: ConnectTimeout["during"], milliseconds: number) {
    super(`waited ${milliseconds / 1000} s`);
    this.during = during;
  }
}

/** The connection ended, by the other side or by an error that `cause` holds; `answered`: after at least one answer. */
export class ConnectionLost extends Error {
  readonly answered: boolean;

  constructor(answered: boolean, cause?: unknown) {
    super("the connection was closed", cause === undefined ? undefined : { cause });
    this.answered = answered;
  }
}

/**
 * Opens a connection and hands it to `greet`, which logs in. Where that fails the connection is closed. Throws the
 * signal's reason, {@link ConnectTimeout}, errors of Node.js or what `greet` throws.
 */
export async function connect<Session>(
  { host, port, localPort, tls, timeout, tlsTimeout }: Target,
  signal: AbortSignal,
  greet: (socket: Socket, signal: AbortSignal) => Promise<Session> | Session,
): Promise<Session> {
  signal.throwIfAborted();
  let during: ConnectTimeout["during"] = "connect";
  const keepAlive = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
  let socket = host.startsWith("/")
    ? connectPlain({ path: host })
    : connectPlain({ host, port, ...(localPort === undefined ? {} : { localPort }), ...keepAlive });
  const ended = new AbortController();
  ended.signal.addEventListener("abort", () => socket.destroy());
  const abort = (): void => ended.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const late = (milliseconds: number): NodeJS.Timeout =>
    setTimeout(() => ended.abort(new ConnectTimeout(during, milliseconds)), milliseconds);
  const timers = [late(timeout)];
  try {
    await opened(socket, "connect");
    if (tls !== null) {
      during = "tls";
      if (tlsTimeout !== undefined) timers.push(late(tlsTimeout));
      socket = await startTls(socket, host, tls);
      if (tlsTimeout !== undefined) clearTimeout(timers.pop());
    }
    during = "login";
    return await greet(socket, ended.signal);
  } catch (thrown) {
    socket.destroy();
    ended.signal.throwIfAborted();
    throw thrown;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Encrypts a connection that is open, as a protocol does it after its own question whether the server wants to. */
export async function startTls(socket: Socket, host: string, tls: ConnectionOptions): Promise<Socket> {
  // The name that the server may choose its certificate by; an address is none (RFC 6066), but must be in it too.
  const name = isIP(host) === 0 ? { servername: host } : { host };
  const secured = connectTls({ ...name, ...tls, socket });
  await opened(secured, "secureConnect");
  return secured;
}

/** What comes first on a connection. Throws where it ends before. */
export function firstBytes(socket: Socket): Promise<Buffer> {
  return first<Buffer>(socket, "data");
}

async function opened(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  // Whoever uses the connection listens for errors too; one that was given up may fail once more.
  socket.on("error", () => {});
  await first(socket, event);
}

/** What the first event of a kind brings. Throws where the connection ends before. */
function first<Result>(socket: Socket, event: "connect" | "secureConnect" | "data"): Promise<Result> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(Object.assign(new Error("the server hung up"), { code: "ECONNRESET" }));
    socket.once("error", reject).once("close", closed);
    socket.once(event, (result: Result) => {
      socket.off("error", reject).off("close", closed);
      resolve(result);
    });
  });
}
