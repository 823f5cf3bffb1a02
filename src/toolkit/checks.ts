import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import type { CheckResult } from "../protocol/source.ts";

/** An error and what to do, as one text. */
export function explained({ message, hint }: HeadwatersError): string {
  return hint === null ? message : `${message}. ${hint}`;
}

/** What `check` says of a step that threw. */
export function failedCheck(name: string, label: string, thrown: unknown): CheckResult {
  return { name, label, status: "failed", message: explained(asHeadwatersError(thrown)) };
}

/** Which step an error of connecting belongs to; any other belongs to the first. */
const stepOfCode: Readonly<Partial<Record<HeadwatersError["code"], string>>> = {
  TLS_MISMATCH: "tls",
  TLS_UNVERIFIED: "tls",
  CONFIGURATION_INVALID: "tls",
  LOGIN_FAILED: "login",
  DATABASE_UNKNOWN: "database",
  PRIVILEGE_MISSING: "database",
};

/**
 * What `check` says where connecting failed: the steps that were passed, then the one that the error belongs to.
 * `labels`: by step, in order. `unseen`: a step of which nothing can be said unless it is the one that failed.
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

/** Whether what is sent to a host does not leave this machine. */
export function isLoopback(host: string): boolean {
  return /^(127\.|::1$|localhost$)/.test(host);
}
