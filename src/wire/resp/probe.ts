import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";

const probeMilliseconds = 3_000;

/** Whether a TLS server listens there; asked where one that should answer in the clear hung up on us. */
export function answersTls(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: probeMilliseconds });
    const end = (answer: boolean): void => {
      socket.destroy();
      signal.removeEventListener("abort", abort);
      resolve(answer);
    };
    const abort = (): void => end(false);
    signal.addEventListener("abort", abort, { once: true });
    socket.on("secureConnect", () => end(true));
    // An alert is an answer in TLS too: the server may ask for a certificate of ours.
    socket.on("error", (error: NodeJS.ErrnoException) => end(/alert/i.test(`${error.code} ${error.message}`)));
    socket.on("timeout", () => end(false));
    socket.on("close", () => end(false));
  });
}

/** Whether a server answers there in the clear, in RESP; asked where TLS came to nothing. */
export function answersPlain(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectPlain({ host, port, timeout: probeMilliseconds });
    const end = (answer: boolean): void => {
      socket.destroy();
      signal.removeEventListener("abort", abort);
      resolve(answer);
    };
    const abort = (): void => end(false);
    signal.addEventListener("abort", abort, { once: true });
    socket.on("connect", () => socket.write("*1\r\n$4\r\nPING\r\n"));
    socket.on("data", (chunk: Buffer) => end(chunk[0] === 0x2b || chunk[0] === 0x2d));
    socket.on("error", () => end(false));
    socket.on("timeout", () => end(false));
    socket.on("close", () => end(false));
  });
}
