import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";

/** The codes of a host at which nothing answered. */
export const unanswered: ReadonlySet<ErrorCode> = new Set(["HOST_UNKNOWN", "CONNECTION_REFUSED", "CONNECTION_TIMEOUT"]);

/** What can't be a wrong setting where a server answered before: whoever answers otherwise stands in for it. */
const away: ReadonlySet<ErrorCode> = new Set([...unanswered, "PROTOCOL_MISMATCH", "TLS_MISMATCH"]);

/** Servers that were reached, by the object that stands for them during one run: a pool, a configuration, …. */
const reached = new WeakSet<object>();

/**
 * Connects to `server`. One that has answered once in this run is there: where nobody can be reached later, it is away
 * for a while, which is `SERVER_UNAVAILABLE` and tried again; before that a setting is wrong.
 */
export async function reach<Connection>(server: object, connect: () => Promise<Connection>): Promise<Connection> {
  try {
    const connection = await connect();
    reached.add(server);
    return connection;
  } catch (thrown) {
    if (!reached.has(server) || !(thrown instanceof HeadwatersError)) throw thrown;
    if (!away.has(thrown.code) || thrown.remedy === "retry") throw thrown;
    throw new HeadwatersError("SERVER_UNAVAILABLE", `the server answered before, and does not now: ${thrown.message}`, {
      hint: "It is tried again. If it stays so, look whether the server runs, and at the network between.",
      cause: thrown.cause,
    });
  }
}
