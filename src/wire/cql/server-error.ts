import { ConnectionLost } from "../../net/socket.ts";
import type { BodyReader } from "./body-reader.ts";

/** The codes of section 9 of the specification, and one of ScyllaDB's. */
export const serverErrors = {
  server: 0x0000,
  protocol: 0x000a,
  badCredentials: 0x0100,
  unavailable: 0x1000,
  overloaded: 0x1001,
  bootstrapping: 0x1002,
  readTimeout: 0x1200,
  readFailure: 0x1300,
  syntax: 0x2000,
  unauthorized: 0x2100,
  invalid: 0x2200,
  config: 0x2300,
  alreadyExists: 0x2400,
  unprepared: 0x2500,
  rateLimit: 0x4321,
} as const;

/** An error with which a server answered. */
export class CqlServerError extends Error {
  readonly code: number;
  /** The version that it speaks, if it does not speak ours. */
  readonly version: number;

  constructor(code: number, message: string, version: number) {
    super(message);
    this.code = code;
    this.version = version;
  }
}

export function readServerError(reader: BodyReader, version: number): CqlServerError {
  return new CqlServerError(reader.int(), reader.string(), version);
}

/** No answer to a request came in time. */
export class CqlTimeout extends Error {
  constructor(milliseconds: number) {
    super(`no answer came for ${milliseconds / 1000} s`);
  }
}

/** The server requires a login that the settings do not have, or of a kind that we do not know. */
export class CqlLoginWanted extends Error {
  readonly authenticator: string;

  constructor(authenticator: string) {
    super(`the server requires a login (${authenticator})`);
    this.authenticator = authenticator;
  }
}

/**
 * Whether a smaller read may succeed where this one failed: it took too long, or met too many tombstones (which the
 * server reports as a failure of its replicas).
 */
export function asksForLess(thrown: unknown): boolean {
  if (thrown instanceof CqlTimeout) return true;
  if (!(thrown instanceof CqlServerError)) return false;
  if (thrown.code === serverErrors.readTimeout || thrown.code === serverErrors.readFailure) return true;
  // ScyllaDB and old releases report a failure of a replica in this way.
  return thrown.code === serverErrors.server && /timed? ?out|tombstone/i.test(thrown.message);
}

/** Errors with which a server may refuse a request as such. */
const refusals: ReadonlySet<number> = new Set([serverErrors.invalid, serverErrors.config, serverErrors.unauthorized]);

/** Whether a guardrail of the server forbids the consistency level (read_consistency_levels_disallowed). */
export function isLevelRefused(thrown: unknown): boolean {
  return (
    thrown instanceof CqlServerError &&
    refusals.has(thrown.code) &&
    /(?:read_)?consistency[ _]levels?\b.*(?:not allowed|disallowed|violated|forbidden)/i.test(thrown.message)
  );
}

/** The page size that a guardrail of the server allows (page_size_fail_threshold); `null`: the error has another reason. */
export function allowedPageSize(thrown: unknown, asked: number): number | null {
  if (!(thrown instanceof CqlServerError) || !refusals.has(thrown.code) || asked === 1) return null;
  if (!/page[ _]?size/i.test(thrown.message)) return null;
  const allowed = Number(/threshold of (\d+)/i.exec(thrown.message)?.[1] ?? 0);
  return allowed >= 1 && allowed < asked ? allowed : Math.floor(asked / 2);
}

/** Whether another node may answer a request that this one could not. */
export function asksForAnother(thrown: unknown): boolean {
  if (thrown instanceof ConnectionLost) return true;
  return (
    thrown instanceof CqlServerError &&
    (thrown.code === serverErrors.bootstrapping || thrown.code === serverErrors.overloaded)
  );
}
