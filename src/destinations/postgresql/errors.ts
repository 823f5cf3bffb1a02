import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";
import type { PostgresSettings } from "../../wire/postgres/connection.ts";
import { nativeCode } from "../../net/errors.ts";
import { type ErrorContext, postgresError } from "../../wire/postgres/errors.ts";
import { escapeIdentifier } from "../../wire/postgres/literals.ts";

type Explain = (said: string, settings: PostgresSettings) => readonly [ErrorCode, message: string, hint: string];

const diskFull: Explain = (said, { host, port }) => [
  "DESTINATION_FULL",
  `the disk of ${host}:${port} is full: ${said}`,
  "Free some space and sync again: the sync goes on from the last commit.",
];

const readOnly: Explain = (said, { host, port }) => [
  "DESTINATION_UNUSABLE",
  `host: ${host}:${port} accepts no writes: ${said}`,
  "Give the address of the primary; a standby, or a database that is set to read only, can't keep a copy.",
];

const depended: Explain = (said) => [
  "DESTINATION_UNUSABLE",
  `something in the database depends on what must be changed: ${said}`,
  "Drop what depends on it (a view, mostly), sync again, and make it anew.",
];

const tooMuch: Explain = (said) => [
  "DESTINATION_UNUSABLE",
  `PostgreSQL has a limit that the table goes past: ${said}`,
  "Leave columns out, or leave the table out.",
];

const outOfRange: Explain = (said) => [
  "VALUE_OUT_OF_RANGE",
  `a value does not fit the type of its column: ${said}`,
  "Set the column's type to a wider one, or to STRING.",
];

const tryAgain: Explain = (said) => [
  "SERVER_UNAVAILABLE",
  `the server asks to try again: ${said}`,
  "Sync again: it goes on from the last commit.",
];

const conflict: Explain = (said) => [
  "WRITE_CONFLICT",
  `another program changed the same rows or tables at the same time; this commit was rolled back: ${said}`,
  "It may pass by itself.",
];

/** Errors by SQLSTATE that mean something else for a destination than for a source. */
const known: Readonly<Record<string, Explain>> = {
  "42501": (said, { user, database }) => [
    "PRIVILEGE_MISSING",
    `user "${user}" lacks a privilege: ${said}`,
    `Let it make its schemas with GRANT CREATE, TEMPORARY ON DATABASE ${escapeIdentifier(database)} TO ${escapeIdentifier(user)}; or make them for it, with AUTHORIZATION ${escapeIdentifier(user)}.`,
  ],
  "53100": diskFull,
  "58030": diskFull,
  "25006": readOnly,
  "2BP01": depended,
  "0A000": depended,
  "54000": tooMuch,
  "54001": tooMuch,
  "54011": tooMuch,
  "57014": tryAgain,
  "55P03": tryAgain,
  "40001": conflict,
  "40P01": conflict,
  "22003": outOfRange,
  "22007": outOfRange,
  "22008": outOfRange,
  "22P02": outOfRange,
  "22P03": outOfRange,
  "22P05": outOfRange,
  "22021": outOfRange,
};

/** Converts an error of the connection into one for the user of a destination. */
export function destinationError(thrown: unknown, settings: PostgresSettings): HeadwatersError {
  const context: ErrorContext = { ...settings, sslmode: settings.ssl.sslmode };
  const error = postgresError(thrown, context);
  const native = error.cause ?? thrown;
  const said = native instanceof Error ? native.message : String(native);
  const explain = known[nativeCode(native) ?? ""];
  if (explain !== undefined) {
    const [code, message, hint] = explain(said, settings);
    return new HeadwatersError(code, message, { hint, cause: native });
  }
  if (error.code !== "SOURCE_FAILED" && error.code !== "TABLE_UNKNOWN" && error.code !== "TABLE_CHANGED") return error;
  const state = nativeCode(native);
  return new HeadwatersError(
    "DESTINATION_FAILED",
    `PostgreSQL at ${settings.host}:${settings.port}: ${said}${state === null ? "" : ` (${state})`}`,
    { cause: native },
  );
}
