import { answers, speaksTls } from "../../net/probe.ts";
import { ConnectTimeout } from "../../net/socket.ts";
import { sleep } from "../../toolkit/backoff.ts";
import type { ReqlAddress } from "./address.ts";
import { ReqlConnectionError } from "./failures.ts";

/** RethinkDB answers a handshake at once, unless it is very busy. In milliseconds. */
const quiet = 2_000;

/**
 * Finds out why a connection failed. A server that expects another protocol does not answer ours, so the port is probed
 * with protocols that are usual there.
 */
export async function diagnose(thrown: unknown, address: ReqlAddress, signal: AbortSignal): Promise<unknown> {
  const strange =
    (thrown instanceof ReqlConnectionError && (thrown.failure === "not RethinkDB" || thrown.failure === "lost")) ||
    (thrown instanceof ConnectTimeout && thrown.during === "login");
  if (!strange) return thrown;
  return (await otherServer(address, signal)) ?? thrown;
}

/** Rejects once the server at the other end of a quiet connection proves to be another one; else it never ends. */
export async function foundOut(address: ReqlAddress, signal: AbortSignal): Promise<never> {
  await sleep(quiet, signal);
  const other = await otherServer(address, signal);
  if (other !== null) throw other;
  return new Promise<never>(() => {});
}

/** By the usual protocols of such ports; `null`: none of them is spoken there. */
async function otherServer(address: ReqlAddress, signal: AbortSignal): Promise<ReqlConnectionError | null> {
  if (address.tls !== null) return null;
  const begins =
    (...texts: readonly string[]) =>
    (answer: Buffer) =>
      texts.some((text) => answer.toString("latin1").startsWith(text));
  const [encrypted, web, redis] = await Promise.all([
    speaksTls(address, signal),
    answers(address, "GET / HTTP/1.0\r\n\r\n", begins("HTTP/"), signal),
    answers(address, "PING\r\n", begins("+PONG", "-"), signal),
  ]);
  if (encrypted) return new ReqlConnectionError("speaks TLS", "the server answers to TLS only");
  if (web) return new ReqlConnectionError("not RethinkDB", "HTTP/");
  return redis ? new ReqlConnectionError("not RethinkDB", "a Redis server") : null;
}
