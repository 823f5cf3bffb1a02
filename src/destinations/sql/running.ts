import { HeadwatersError } from "../../protocol/errors.ts";
import type { Holder } from "../../protocol/state-store.ts";

/** `holder`: `null` while who holds the lease has not written its row yet. */
export function syncRunning(connection: string, holder: Holder | null): HeadwatersError {
  const who =
    holder === null
      ? "another process"
      : holder.pid === 0
        ? `${holder.host}, since ${holder.since}`
        : `process ${holder.pid} on ${holder.host}, since ${holder.since}`;
  return new HeadwatersError("SYNC_RUNNING", `connection "${connection}" is in use by ${who}`, {
    hint: "Wait until it has ended, or stop it.",
  });
}
