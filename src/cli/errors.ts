import { errorCodes, type HeadwatersError } from "../protocol/errors.ts";
import type { TableRun } from "../protocol/state-store.ts";
import type { Outcome } from "./exit-codes.ts";
import type { Output } from "./output.ts";

/** Shows an error to people: the message, the hint, and the code for looking it up. */
export function showError(output: Output, error: HeadwatersError, of: string | null = null): void {
  const paint = output.paintError;
  const where = of === null ? "" : `${of}: `;
  output.error(`${paint("red", "error")} ${where}${error.message} ${paint("dim", `(${error.code})`)}`);
  const hint = error.hint ?? (error.remedy === "report" ? reporting : null);
  if (hint !== null) output.error(`  ${hint}`);
}

const reporting = "Please report it, with the output of the same command with --log-level debug.";

/** The outcome of a sync for one table. */
export function outcomeOf({ outcome, error }: TableRun): Outcome {
  if (outcome === "stopped") return "stopped";
  if (outcome !== "failed") return "ok";
  return error === null ? "report" : errorCodes[error.code][0];
}
