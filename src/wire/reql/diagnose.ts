import { answers, speaksTls } from "../../net/probe.ts";
import { ConnectTimeout } from "../../net/socket.ts";
import type { ReqlAddress } from "./address.ts";
import { ReqlConnectionError } from "./failures.ts";

/**
 * Finds out why a connection failed. A server that expects another protocol does not answer ours, so the port is probed
 * with the two protocols that are usual there.
 */
export async function diagnose(thrown: unknown, address: ReqlAddress, signal: AbortSignal): Promise<unknown> {
  const strange =
    (thrown instanceof ReqlConnectionError && (thrown.failure === "not RethinkDB" || thrown.failure === "lost")) ||
    (thrown instanceof ConnectTimeout && thrown.during === "login");
  if (address.tls !== null || !strange) return thrown;
  const [encrypted, web] = await Promise.all([
    speaksTls(address, signal),
    answers(address, "GET / HTTP/1.0\r\n\r\n", (answer) => answer.toString("latin1", 0, 5) === "HTTP/", signal),
  ]);
  if (encrypted) return new ReqlConnectionError("speaks TLS", "the server answers to TLS only", { cause: thrown });
  return web ? new ReqlConnectionError("not RethinkDB", "HTTP/", { cause: thrown }) : thrown;
}
