import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";

/** The error codes of hosts that do not answer. */
export const unanswered: ReadonlySet<ErrorCode> = new Set(["HOST_UNKNOWN", "CONNECTION_REFUSED", "CONNECTION_TIMEOUT"]);

/**
 * Error codes that can't mean a wrong setting if the server answered before. A wrong answer then comes from something
 * that stands in for the server, such as a proxy.
 */
const away: ReadonlySet<ErrorCode> = new Set([
  "HOST_UNKNOWN",
  "CONNECTION_REFUSED",
  "PROTOCOL_MISMATCH",
  "TLS_MISMATCH",
]);

/** Servers that have answered during this run, each by the object that represents it: a pool, a configuration, …. */
const reached = new WeakSet<object>();

/**
 * Connects to `server`. If the server has answered before in this run, failing to reach it throws `SERVER_UNAVAILABLE`,
 * which is retried: the server is away for a while. If the server has never answered, the original error is thrown.
 */
export async function reach<Connection>(server: object, connect: () => Promise<Connection>): Promise<Connection> {
  try {
    const connection = await connect();
    reached.add(server);
    return connection;
  } catch (thrown) {
    if (!reached.has(server) || !(thrown instanceof HeadwatersError)) throw thrown;
    if (!away.has(thrown.code)) throw thrown;
    throw new HeadwatersError("SERVER_UNAVAILABLE", `the server answered before, and does not now: ${thrown.message}`, {
      hint: "It may pass by itself. If it stays so, look whether the server runs, and at the network between.",
      cause: thrown.cause,
    });
  }
}
