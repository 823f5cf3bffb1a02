import { sleep } from "../../../toolkit/backoff.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";

/** How often to check whether transactions have ended, in milliseconds. */
const lookEach = 100;
/** A longer wait is logged, in milliseconds. */
const quietFor = 5_000;

/**
 * Waits until every transaction that is now running in PostgreSQL has ended. The log may already have its commit, or only
 * some of its changes, while no snapshot shows them.
 */
export async function waitForOthers(
  connection: PostgresConnection,
  warn: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const [row] = await connection.query("SELECT txid_current()::text AS id", [], signal);
  const began = performance.now();
  for (let warned = false; ;) {
    const [is] = await connection.query(
      "SELECT (txid_snapshot_xmin(txid_current_snapshot()) > $1::int8)::text AS over",
      [row!["id"]!],
      signal,
    );
    if (is!["over"] === "true") return;
    if (!warned && performance.now() - began > quietFor) {
      warn("waiting for all open transactions to end; then the stream begins");
      warned = true;
    }
    await sleep(lookEach, signal);
  }
}
