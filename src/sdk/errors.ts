import { faults } from "../net/errors.ts";
import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";

/** What the codes of `fetch` mean, and those that mean something else in code that may do anything. */
const codes: Readonly<Record<string, ErrorCode>> = {
  EAI_AGAIN: "CONNECTION_TIMEOUT",
  EACCES: "PRIVILEGE_MISSING",
  EPERM: "PRIVILEGE_MISSING",
  UND_ERR_CONNECT_TIMEOUT: "CONNECTION_TIMEOUT",
  UND_ERR_HEADERS_TIMEOUT: "READ_TIMEOUT",
  UND_ERR_BODY_TIMEOUT: "READ_TIMEOUT",
  UND_ERR_SOCKET: "CONNECTION_LOST",
};

/** What the code of a source threw, as a `HeadwatersError`. One that the source made itself stays as it is. */
export function explain(thrown: unknown, source: string): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const causes = [...causesOf(thrown)];
  const message = `source "${source}": ${causes.map(messageOf).join(": ")}`;
  for (const cause of causes) {
    const code = codeOf(cause);
    if (code !== null) return new HeadwatersError(code, message, { cause: thrown });
  }
  return new HeadwatersError("SOURCE_FAILED", message, {
    hint: "The code of the source threw this error: --log-level debug shows where.",
    cause: thrown,
  });
}

function* causesOf(thrown: unknown): Generator {
  for (let [cause, depth] = [thrown, 0]; cause !== undefined && depth < 8; depth++) {
    yield cause;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message || codeText(thrown) : String(thrown);
}

function codeText(error: Error): string {
  return String((error as NodeJS.ErrnoException).code ?? error.name);
}

function codeOf(thrown: unknown): ErrorCode | null {
  if (!(thrown instanceof Error)) return null;
  // From AbortSignal.timeout.
  if (thrown.name === "TimeoutError") return "READ_TIMEOUT";
  const code = codeText(thrown);
  // A file that is not there is a matter of the source's own.
  return codes[code] ?? (code === "ENOENT" ? null : faults[code]?.code) ?? null;
}
