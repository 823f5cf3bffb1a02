import { setTimeout as wait } from "node:timers/promises";
import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";
import { ConnectionLost } from "./socket.ts";

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

/** How often a server may close the connection at the first message before this counts as its answer. */
const mostCloses = 3;
/** The wait between two attempts, in milliseconds. */
const closePause = 300;

/**
 * Connects to `server`. If the server has answered before in this run, failing to reach it throws `SERVER_UNAVAILABLE`,
 * which is retried: the server is away for a while. If the server has never answered, the original error is thrown.
 */
export async function reach<Connection>(server: object, connect: () => Promise<Connection>): Promise<Connection> {
  for (let attempt = 1; ; attempt++) {
    try {
      const connection = await connect();
      reached.add(server);
      return connection;
    } catch (thrown) {
      if (!(thrown instanceof HeadwatersError) || !away.has(thrown.code)) throw thrown;
      if (reached.has(server)) throw isAway(thrown);
      if (!wasClosed(thrown) || attempt === mostCloses) throw thrown;
    }
    await wait(closePause);
  }
}

function isAway({ message, cause }: HeadwatersError): HeadwatersError {
  return new HeadwatersError("SERVER_UNAVAILABLE", `the server answered before, but does not answer now: ${message}`, {
    hint: "It may pass by itself. If it does not, check that the server runs, and check the network between.",
    cause,
  });
}

/** A server closes connections of a kind that it does not accept, but also any connection when it restarts. */
function wasClosed({ cause }: HeadwatersError): boolean {
  return cause instanceof ConnectionLost && !cause.answered;
}
