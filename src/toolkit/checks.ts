import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import type { CheckResult } from "../protocol/source.ts";

/** An error's message and hint, as one text. */
export function explained({ message, hint }: HeadwatersError): string {
  return hint === null ? message : `${message}. ${hint}`;
}

/** The result that `check` gives for a step that threw. */
export function failedCheck(name: string, label: string, thrown: unknown): CheckResult {
  const error = asHeadwatersError(thrown);
  return { name, label, status: "failed", message: explained(error), remedy: error.remedy };
}

/** The step that each connection error belongs to. Any other error belongs to the first step. */
const stepOfCode: Readonly<Partial<Record<HeadwatersError["code"], string>>> = {
  TLS_MISMATCH: "tls",
  TLS_UNVERIFIED: "tls",
  CONFIGURATION_INVALID: "tls",
  LOGIN_FAILED: "login",
  DATABASE_UNKNOWN: "database",
  PRIVILEGE_MISSING: "database",
};

/**
 * The results that `check` gives when connecting failed: the steps that passed, then the step that the error belongs
 * to. `labels`: by step, in order. `unseen`: a step whose success can't be known; it is reported only if it failed.
 */
export function* failedConnect(
  labels: Readonly<Record<string, string>>,
  error: HeadwatersError,
  unseen: string | null,
): Generator<CheckResult> {
  const steps = Object.entries(labels);
  const failed = Math.max(0, Object.keys(labels).indexOf(stepOfCode[error.code] ?? ""));
  for (const [name, label] of steps.slice(0, failed)) {
    if (name !== unseen) yield { name, label, status: "ok", message: "ok" };
  }
  const [name, label] = steps[failed]!;
  yield failedCheck(name, label, error);
}

/** Whether data sent to this host stays on this machine. */
export function isLoopback(host: string): boolean {
  return /^(127\.|::1$|localhost$)/.test(host);
}
