import type { SyncEvent } from "../../engine/events.ts";
import type { VerifyEvent } from "../../engine/commands/verify.ts";
import { errorCodes, type HeadwatersError } from "../../protocol/errors.ts";

/** An event as JSON. Errors and maps become plain objects. */
export function eventJson(event: SyncEvent | VerifyEvent): Readonly<Record<string, unknown>> {
  switch (event.kind) {
    case "retry":
      return { ...event, error: errorJson(event.error) };
    case "finished":
      return { ...event, error: event.error === null ? null : errorJson(event.error) };
    case "committed":
      return { ...event, changes: Object.fromEntries(event.changes) };
    default:
      return { ...event };
  }
}

/** An error as JSON, for scripts. */
export function errorJson(error: HeadwatersError): Readonly<Record<string, unknown>> {
  const { code, message, hint, side } = error;
  return { code, remedy: errorCodes[code][0], message, hint, side };
}
