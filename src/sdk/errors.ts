import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";

/** Error codes of Node, of its `fetch` and of the system, and the codes that they become. */
const codes: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: "CONNECTION_REFUSED",
  EHOSTUNREACH: "CONNECTION_REFUSED",
  ENETUNREACH: "CONNECTION_REFUSED",
  ENOTFOUND: "HOST_UNKNOWN",
  EAI_AGAIN: "CONNECTION_TIMEOUT",
  ETIMEDOUT: "CONNECTION_TIMEOUT",
  UND_ERR_CONNECT_TIMEOUT: "CONNECTION_TIMEOUT",
  UND_ERR_HEADERS_TIMEOUT: "READ_TIMEOUT",
  UND_ERR_BODY_TIMEOUT: "READ_TIMEOUT",
  ECONNRESET: "CONNECTION_LOST",
  EPIPE: "CONNECTION_LOST",
  UND_ERR_SOCKET: "CONNECTION_LOST",
  CERT_HAS_EXPIRED: "TLS_UNVERIFIED",
  DEPTH_ZERO_SELF_SIGNED_CERT: "TLS_UNVERIFIED",
  SELF_SIGNED_CERT_IN_CHAIN: "TLS_UNVERIFIED",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "TLS_UNVERIFIED",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "TLS_UNVERIFIED",
  ERR_TLS_CERT_ALTNAME_INVALID: "TLS_UNVERIFIED",
  EACCES: "PRIVILEGE_MISSING",
  EPERM: "PRIVILEGE_MISSING",
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
  return codes[codeText(thrown)] ?? null;
}
