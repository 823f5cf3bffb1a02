import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import type { ReadPoint } from "../snapshot/read-point.ts";
import { Hints } from "./hints.ts";
import type { ListenerContext } from "./listener.ts";
import { earlier, lsnOf } from "./lsn.ts";
import type { StreamNames } from "./names.ts";
import { dropSlot, peekSlot } from "./slot.ts";
import { visibleIn } from "./visible.ts";

/** The log's changes up to one moment. */
export interface Collected {
  readonly hints: Hints;
  readonly position: bigint;
  /** The moment up to which they are complete; `null`: the log reports none. */
  readonly point: ReadPoint | null;
}

/** The changes in PostgreSQL's log up to now. The slot's position does not move. */
export async function peekHints(
  connection: PostgresConnection,
  names: StreamNames,
  context: ListenerContext,
  signal: AbortSignal,
): Promise<Collected> {
  const point = await context.takePoint(connection, signal);
  const keys = await context.keys(connection, signal);
  const [[end, snapshot] = []] = await connection.simple(endSql, signal);
  const hints = new Hints(context.configuration.schema, keys);
  await peek(connection, names, end!, (message) => hints.take(message), signal);
  hints.see(visibleIn(snapshot!));
  return { hints, position: earlier(hints.unseen, lsnOf(end!)), point };
}

/**
 * Commits a message of some bytes, locally: this flushes everything that was committed before, so that the slot shows
 * it. Then reads the end of the flushed log, and what is visible after that.
 */
const endSql = `BEGIN READ WRITE; SET LOCAL synchronous_commit = local; SELECT pg_logical_emit_message(true, 'headwaters', ''); COMMIT;
SELECT pg_current_wal_flush_lsn()::text, txid_current_snapshot()::text`;

async function peek(
  connection: PostgresConnection,
  names: StreamNames,
  end: string,
  take: (message: Buffer) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    await peekSlot(connection, names, end, take, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    if (!(thrown instanceof HeadwatersError) || nativeCode(thrown.cause) !== "42704") throw thrown;
    // The log is decoded with the catalogs of its time. Without this slot, the next attempt reads every table whole.
    await dropSlot(connection, names.slot, signal);
    throw new HeadwatersError(
      "READ_CONFLICT",
      `publication: "${names.publication}" was dropped and made again, so the log from before can't be read`,
      { hint: "The slot was dropped. The tables are read whole again.", cause: thrown },
    );
  }
}
