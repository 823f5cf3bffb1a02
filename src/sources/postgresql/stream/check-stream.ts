import type { CheckResult } from "../../../protocol/source.ts";
import { failedCheck } from "../../../toolkit/checks.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import type { Configuration } from "../config.ts";
import type { Server } from "../server.ts";
import { checkStreaming } from "./requirements.ts";
import { streamNames } from "./names.ts";
import { findSlot } from "./slot.ts";

/** Checks whether the log can be followed, and how much the slot keeps. */
export async function checkStream(
  connection: PostgresConnection,
  configuration: Configuration,
  server: Server,
  signal: AbortSignal,
): Promise<CheckResult> {
  const [name, label] = ["stream", "Change stream"];
  try {
    await checkStreaming(connection, server, signal);
    const names = streamNames(configuration);
    const slot = await findSlot(connection, configuration, server, signal);
    const [row] = await connection.query(
      `SELECT coalesce((SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), '-1') AS keep,
         (current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots))::text AS free`,
      [],
      signal,
    );
    const says = (status: CheckResult["status"], message: string): CheckResult => ({ name, label, status, message });
    if (slot === null && Number(row!["free"]) <= 0)
      return says(
        "failed",
        "All replication slots of the server are in use: raise max_replication_slots, or drop one.",
      );
    if (slot?.lost === true)
      return says("warning", `The server has dropped log that slot "${names.slot}" needs: tables will be read whole.`);
    const state =
      slot === null
        ? `The first ${server.yugabyte ? "headwaters follow" : "sync"} makes slot "${names.slot}" and publication "${names.publication}".`
        : slot.retained === null
          ? `Slot "${names.slot}" keeps the log for some hours (cdc_intent_retention_ms).`
          : `Slot "${names.slot}" keeps ${Math.ceil(Number(slot.retained) / 2 ** 20)} MB of log.`;
    if (row!["keep"] !== "-1" || server.yugabyte) return says("ok", state);
    return says(
      "warning",
      `${state} If no sync runs, the log grows without a limit: set max_slot_wal_keep_size at the server.`,
    );
  } catch (thrown) {
    signal.throwIfAborted();
    return failedCheck(name, label, thrown);
  }
}
