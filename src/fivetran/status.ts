import { status } from "@grpc/grpc-js";
import { asHeadwatersError, type ErrorCode, type HeadwatersError, type Remedy } from "../protocol/errors.ts";

/** How a call ends that failed: decided by the remedy alone. */
const statuses: Readonly<Record<Remedy, status>> = {
  retry: status.UNAVAILABLE,
  reconfigure: status.FAILED_PRECONDITION,
  resync: status.FAILED_PRECONDITION,
  report: status.INTERNAL,
};

/** What to do under Fivetran, where that is another thing than on the command line. */
const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  SCOPE_CHANGED:
    "To copy the new source, re-sync the connection in Fivetran; else restore the configuration that it had.",
  DELETES_STOPPED:
    "If that is right, raise max_delete_fraction or re-sync the table in Fivetran; if not, look at the source: the next sync looks again.",
  TABLE_UNKNOWN: "If the table is gone for good, leave it out in Fivetran.",
  NO_TABLES: "Choose at least one table in Fivetran, and see that the user may read it.",
};

/** An error as a sentence for people, with what to do. */
export function explain(error: HeadwatersError): string {
  const hint = hints[error.code] ?? error.hint;
  return `${error.message} (${error.code})${hint === null ? "" : `. ${hint}`}`;
}

/** What grpc-js ends a call with. */
export function statusOf(thrown: unknown, redact: (text: string) => string): { code: status; details: string } {
  const error = asHeadwatersError(thrown);
  return { code: statuses[error.remedy], details: redact(explain(error)) };
}

/** Whether the user must mend it: said as a task, not as a failure. */
export function isTask({ remedy }: HeadwatersError): boolean {
  return remedy === "reconfigure" || remedy === "resync";
}
