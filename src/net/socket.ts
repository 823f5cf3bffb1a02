import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

/** How a server is reached. */
export interface Target {
  /** A name, an address, or the path of a unix socket. */
  readonly host: string;
  readonly port: number;
  /** The local port; absent: any. */
  readonly localPort?: number | undefined;
  /** `null`: not encrypted, or encrypted later (see {@link startTls}). */
  readonly tls: ConnectionOptions | null;
  /** The time limit for connecting, including `greet`, in milliseconds. */
  readonly timeout: number;
  /** The time limit for the TLS handshake alone, in milliseconds; absent: what is left of `timeout`. */
  readonly tlsTimeout?: number;
}

/** The server did not answer in time. */
export class ConnectTimeout extends Error {
  /** The step that took too long: the connection itself, the TLS handshake, or the login of the protocol. */
  readonly during: "connect" | "tls" | "login";

  constructor(during: ConnectTimeout["during"], milliseconds: number) {
    super(`waited ${milliseconds / 1000} s`);
    this.during = during;
  }
}

/**
 * The connection ended: the other side closed it, or `cause` holds the error. `answered`: whether the server had
 * answered at least once.
 */
export class ConnectionLost extends Error {
  readonly answered: boolean;

  constructor(answered: boolean, cause?: unknown) {
    super("the connection was closed", cause === undefined ? undefined : { cause });
    this.answered = answered;
  }
}

/**
 * Opens a connection and hands it to `greet`, which logs in. If `greet` fails, the connection is closed. Throws the
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

/** Encrypts an open connection, for protocols that ask the server first whether it wants TLS. */
export async function startTls(socket: Socket, host: string, tls: ConnectionOptions): Promise<Socket> {
  // The name by which the server may choose its certificate. An IP address is not allowed here (RFC 6066), but the
  // certificate must contain it too.
  const name = isIP(host) === 0 ? { servername: host } : { host };
  const secured = connectTls({ ...name, ...tls, socket });
  await opened(secured, "secureConnect");
  return secured;
}

/** The first bytes on a connection. Throws if the connection ends before. */
export function firstBytes(socket: Socket): Promise<Buffer> {
  return first<Buffer>(socket, "data");
}

async function opened(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  // The user of the connection listens for errors too. This listener catches late errors of an abandoned connection.
  socket.on("error", () => {});
  await first(socket, event);
}

/** The value of the first event of this kind. Throws if the connection ends before. */
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
