import { status } from "@grpc/grpc-js";
import { asHeadwatersError, type ErrorCode, type HeadwatersError, type Remedy } from "../protocol/errors.ts";

/** The status with which a failed call ends: the remedy alone decides it. */
const statuses: Readonly<Record<Remedy, status>> = {
  retry: status.UNAVAILABLE,
  reconfigure: status.FAILED_PRECONDITION,
  resync: status.FAILED_PRECONDITION,
  report: status.INTERNAL,
};

/** What to do under Fivetran, if it differs from the command line. */
const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  SCOPE_CHANGED:
    "To copy the new source, re-sync the connection in Fivetran. Otherwise restore its former configuration.",
  DELETES_STOPPED:
    "If that is right, raise max_delete_fraction (1 allows all), or re-sync the connection in Fivetran. Otherwise check the source; the next sync looks again.",
  TABLE_UNKNOWN: "If the table is gone for good, deselect it in Fivetran.",
  NO_TABLES: "Select at least one table in Fivetran, and make sure that the user may read it.",
};

/** An error in one sentence for people, with its hint. */
export function explain(error: HeadwatersError): string {
  const hint = hints[error.code] ?? error.hint;
  return `${error.message} (${error.code})${hint === null ? "" : `. ${hint}`}`;
}

/** What grpc-js ends a call with. */
export function statusOf(thrown: unknown, redact: (text: string) => string): { code: status; details: string } {
  const error = asHeadwatersError(thrown);
  return { code: statuses[error.remedy], details: redact(explain(error)) };
}

/** Whether the user must act: then it is sent as a task, not as a failure. */
export function isTask({ remedy }: HeadwatersError): boolean {
  return remedy === "reconfigure" || remedy === "resync";
}
