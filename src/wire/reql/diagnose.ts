import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ReqlConnectionError } from "./failures.ts";

/** How long the second look at a port may take. */
const retryPolicy = 2_000;

/**
 * Why a connection failed. A server that waits for another protocol says nothing to ours: it is looked at once more,
 * by the two that are usual there.
 */
export async function diagnose(
  thrown: unknown,
  { host, port, tls }: { readonly host: string; readonly port: number; readonly tls: object | null },
): Promise<unknown> {
  if (tls !== null || !(thrown instanceof ReqlConnectionError)) return thrown;
  if (thrown.failure === "not RethinkDB" || thrown.failure === "lost" || thrown.failure === "connect timeout") {
    const [encrypted, web] = await Promise.all([speaksTls(host, port), speaksHttp(host, port)]);
    if (encrypted) return new ReqlConnectionError("speaks TLS", "the server answers to TLS only", { cause: thrown });
    if (web) return new ReqlConnectionError("not RethinkDB", "HTTP/", { cause: thrown });
  }
  return thrown;
}

function speaksTls(host: string, port: number): Promise<boolean> {
  // Nothing is sent over it: whose certificate it is does not matter.
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  return within(socket, (yes) => socket.once("secureConnect", () => yes()));
}

function speaksHttp(host: string, port: number): Promise<boolean> {
  const socket = connectTcp({ host, port });
  socket.write("GET / HTTP/1.0\r\n\r\n");
  return within(socket, (yes) =>
    socket.once("data", (chunk: Buffer) => {
      if (chunk.toString("latin1", 0, 5) === "HTTP/") yes();
      else socket.destroy();
    }),
  );
}

function within(socket: Socket, listen: (yes: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), retryPolicy);
    socket.on("error", () => end(false)).on("close", () => end(false));
    listen(() => end(true));
  });
}
