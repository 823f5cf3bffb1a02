import { connect, firstBytes, type Target } from "./socket.ts";

/** How long the second look at a port may take, in milliseconds. */
const timeout = 3_000;

type Where = Pick<Target, "host" | "port">;

/** Whether a TLS server listens there; asked where one that should answer in the clear says nothing to us. */
export async function speaksTls({ host, port }: Where, signal: AbortSignal): Promise<boolean> {
  try {
    // Nothing is sent over it: whose certificate it is does not matter.
    const tls = { rejectUnauthorized: false };
    await connect({ host, port, tls, timeout }, signal, (socket) => void socket.destroy());
    return true;
  } catch (thrown) {
    // An alert is an answer in TLS too: the server may ask for a certificate of ours.
    return thrown instanceof Error && "code" in thrown && /alert/i.test(`${String(thrown.code)} ${thrown.message}`);
  }
}

/** Whether `expected` holds of what a server answers to `question` in the clear. */
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
