import { sleep } from "../../../toolkit/backoff.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";

/** How often it is looked whether transactions have ended, in milliseconds. */
const lookEach = 100;
/** Who waits for longer says so, in milliseconds. */
const quietFor = 5_000;

/**
 * Waits until every transaction of PostgreSQL has ended that runs now. The log may tell of its commit already, or of a part of
 * its changes only, while no snapshot shows them.
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
      warn("the stream begins once all transactions have ended that are open now; this waits for them");
      warned = true;
    }
    await sleep(lookEach, signal);
  }
}
