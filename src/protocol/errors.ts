/**
 * What to do about an error. It alone decides backoff, exit code and gRPC status.
 *
 * - `retry`: the error may pass by itself; the split is tried again with backoff.
 * - `reconfigure`: the user must change a setting, a privilege or the machine.
 * - `resync`: the stored state no longer fits the source; the user must agree to start a table over.
 * - `report`: a defect of Headwaters or of a server; never skipped.
 */
export type Remedy = "retry" | "reconfigure" | "resync" | "report";

/** Every error code, with its remedy and its meaning. `docs/errors.md` is generated from this table. */
export const errorCodes = {
  CONFIGURATION_INVALID: ["reconfigure", "A setting is missing, is unknown, or has a value that is not allowed."],
  HOST_UNKNOWN: ["reconfigure", "The host name can't be resolved."],
  CONNECTION_REFUSED: ["retry", "Nothing listens at this host and port: the server is down, or the setting is wrong."],
  CONNECTION_TIMEOUT: ["retry", "The server did not answer in time."],
  CONNECTION_LOST: ["retry", "The connection broke while it was in use."],
  SERVER_UNAVAILABLE: ["retry", "The server is starting, stopping, overloaded or has no free connection."],
  PROTOCOL_MISMATCH: [
    "reconfigure",
    "Something other than the expected database answers at this port, or the answer breaks its protocol.",
  ],
  TLS_MISMATCH: ["reconfigure", "One side wants TLS and the other does not."],
  TLS_UNVERIFIED: ["reconfigure", "The certificate of the server can't be verified."],
  LOGIN_FAILED: ["reconfigure", "The server refuses this user or password."],
  DATABASE_UNKNOWN: ["reconfigure", "The database, keyspace or data centre does not exist."],
  SCHEMA_UNKNOWN: ["reconfigure", "The schema does not exist in this database."],
  TABLE_UNKNOWN: ["reconfigure", "A selected table does not exist."],
  TABLE_CHANGED: ["retry", "The table was altered while it was read. It is planned again."],
  PRIVILEGE_MISSING: ["reconfigure", "The user lacks a privilege."],
  NO_TABLES: ["reconfigure", "No table is selected, or the source has none."],
  NAMES_COLLIDE: [
    "reconfigure",
    "Two names would be the same in the destination: they are equal, or differ only by case.",
  ],
  COLUMNS_TOO_MANY: [
    "reconfigure",
    "A table has more fields than it may have columns, for example because the names of fields are data.",
  ],
  CURSOR_INVALID: ["reconfigure", "The cursor column does not exist, or its type can't be used as a cursor."],
  VALUE_OUT_OF_RANGE: ["reconfigure", "A value does not fit the type of its column."],
  READ_CONFLICT: [
    "retry",
    "The server asks to repeat a read: after a restart or a conflict, or because a snapshot is too old.",
  ],
  READ_TIMEOUT: ["retry", "A read took longer than the server or the settings allow."],
  SOURCE_MISTAKEN: ["reconfigure", "The code of your own source has a mistake. The message names table and column."],
  SOURCE_FAILED: ["report", "The source reported an error that is unknown to Headwaters."],
  SCOPE_CHANGED: ["resync", "The copy was made from another server or database, or with another selection."],
  STATE_INVALID: ["resync", "The given state is damaged, too new, too large, or from another source."],
  KEY_DUPLICATE: ["reconfigure", "Two rows of the source have, or may have, the same key in the copy."],
  DELETES_STOPPED: ["resync", "More rows would be deleted than the delete limit (`maxDeleteFraction`) allows."],
  SCHEMA_CHANGE_BLOCKED: ["reconfigure", "The source's schema changed in a way that `schemaChanges` does not allow."],
  SYNC_RUNNING: ["retry", "Another sync of this connection is running."],
  SERVICE_RUNNING: ["retry", "Another `headwaters up` runs for this file."],
  DESTINATION_BUSY: ["retry", "Another process has the file of the destination open."],
  LEASE_LOST: ["retry", "Another writer took over this connection. Nothing was committed."],
  WRITE_CONFLICT: ["retry", "Another program changed the destination at the same time. This commit was rolled back."],
  DESTINATION_EMPTY: ["reconfigure", "The destination has no data of this connection yet."],
  DESTINATION_UNUSABLE: ["reconfigure", "The destination can't be opened or written."],
  DESTINATION_FULL: ["reconfigure", "The disk of the destination is full."],
  DESTINATION_FAILED: ["report", "The destination reported an error that is unknown to Headwaters."],
  DEFECT: ["report", "A defect of Headwaters."],
} as const satisfies Readonly<Record<string, readonly [Remedy, string]>>;

export type Side = "source" | "destination";

export type ErrorCode = keyof typeof errorCodes;

/**
 * The only class of errors that users see. `message` says what is wrong and names the setting; `hint` says what to do.
 * Neither contains a secret.
 */
export class HeadwatersError extends Error {
  override readonly name = "HeadwatersError";
  readonly code: ErrorCode;
  readonly hint: string | null;
  /** Which side reported it; `null`: neither. Set once, by {@link errorAt}, where the engine calls a source or destination. */
  side: Side | null = null;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
  }

  get remedy(): Remedy {
    return errorCodes[this.code][0];
  }
}

/** Whatever was thrown, as a {@link HeadwatersError}. An unknown error is a defect, and never skipped. */
export function asHeadwatersError(thrown: unknown): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  // What failed first says more than what failed while things were closed because of it.
  if (isSuppressed(thrown)) return asHeadwatersError(thrown.suppressed);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new HeadwatersError("DEFECT", message, { cause: thrown });
}

/** What `await using` throws if disposing fails too. Node.js 20 does not have the class. */
function isSuppressed(thrown: unknown): thrown is { readonly suppressed: unknown } {
  return thrown instanceof Error && thrown.name === "SuppressedError" && "suppressed" in thrown;
}

/** Whatever a source or a destination threw, as a {@link HeadwatersError} that says which of them threw it. */
export function errorAt(side: Side, thrown: unknown): HeadwatersError {
  const error = asHeadwatersError(thrown);
  error.side ??= side;
  return error;
}
