import { connect, firstBytes, type Target } from "./socket.ts";

/** How long a probe may take, in milliseconds. */
const timeout = 3_000;

type Where = Pick<Target, "host" | "port">;

/** Whether a TLS server listens on this port. Used when a server that should speak plain text does not answer. */
export async function speaksTls({ host, port }: Where, signal: AbortSignal): Promise<boolean> {
  try {
    // No data is sent over this connection, so the certificate does not matter.
    const tls = { rejectUnauthorized: false };
    await connect({ host, port, tls, timeout }, signal, (socket) => void socket.destroy());
    return true;
  } catch (thrown) {
    // A TLS alert proves TLS too: the server may require a client certificate.
    return thrown instanceof Error && "code" in thrown && /alert/i.test(`${String(thrown.code)} ${thrown.message}`);
  }
}

/** Whether a server's answer to `question`, sent without TLS, meets `expected`. */
export async function answers(
  { host, port }: Where,
  question: string,
  expected: (answer: Buffer) => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await connect({ host, port, tls: null, timeout }, signal, async (socket) => {
      socket.write(question);
      const is = expected(await firstBytes(socket));
      socket.destroy();
      return is;
    });
  } catch {
    return false;
  }
}
