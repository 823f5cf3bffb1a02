import { connectionLost, messageOf, type Names, nativeCode, networkError, type Place } from "../../net/errors.ts";
import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";
import { escapeIdentifier, qualifiedName } from "./literals.ts";
import type { SslMode } from "./ssl.ts";

/** What an error's message and hint are made of. */
export interface ErrorContext {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly sslmode: SslMode;
  /** The table that was being read, if any. */
  readonly table?: { readonly schema: string; readonly name: string } | undefined;
}

/** An error as `pg` and Node.js throw them: SQLSTATE, errno or TLS code. */
interface NativeError {
  readonly code: string | null;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
}

type Explain = (context: ErrorContext, error: NativeError) => readonly [ErrorCode, message: string, hint: string];

/** The names of libpq. */
const names: Names = {
  server: "PostgreSQL",
  host: "host",
  tls: "sslmode",
  noTls: 'sslmode to "prefer" or "disable"',
  serverTls: "ssl",
  ca: "sslrootcert",
  certificate: "sslcert",
  key: "sslkey",
  anyName: 'sslmode to "verify-ca"',
  listens: "listen_addresses",
  timeout: "connect_timeout",
};

const lost: Explain = (context, { message }) => connectionLost(placeOf(context), message);

const serverUnavailable: Explain = ({ host, port }, { message }) => [
  "SERVER_UNAVAILABLE",
  `the server at ${host}:${port} is not available: ${message}`,
  "It may pass by itself. If it does not, check the server's log.",
];

const valueOutOfRange: Explain = (context, { message }) => [
  "VALUE_OUT_OF_RANGE",
  `${inTable(context)}a value does not fit: ${message}`,
  "Set the column's type to one that holds every value, such as STRING.",
];

const notUtf8: Explain = (context, { message }) => [
  "VALUE_OUT_OF_RANGE",
  `${inTable(context)}a text can't be converted to UTF-8: ${message}`,
  "Set the type of its column to BINARY.",
];

const conflict: Explain = (context, { message }) => [
  "READ_CONFLICT",
  `${inTable(context)}the server asks to read again: ${message}`,
  "It may pass by itself.",
];

/** By SQLSTATE: https://www.postgresql.org/docs/15/errcodes-appendix.html */
const table: Readonly<Record<string, Explain>> = {
  "08000": lost,
  "08003": lost,
  "08006": lost,
  "28P01": ({ user }) => [
    "LOGIN_FAILED",
    `password: the server refuses the password of user "${user}", or the user does not exist`,
    "Check user and password.",
  ],
  "28000": ({ user, sslmode }, { message }) =>
    message.includes("no encryption")
      ? [
          "TLS_MISMATCH",
          `sslmode: the server refuses unencrypted connections of user "${user}": ${message}`,
          `Set sslmode to "require" or stricter (it is "${sslmode}").`,
        ]
      : [
          "LOGIN_FAILED",
          `user: the server refuses user "${user}": ${message}`,
          "Check user, and that the server's pg_hba.conf allows it from this machine.",
        ],
  "3D000": ({ database }) => [
    "DATABASE_UNKNOWN",
    `database: the server has no database "${database}"`,
    "Check the spelling of database; case matters.",
  ],
  "3F000": (_context, { message }) => ["SCHEMA_UNKNOWN", `schema: ${message}`, "Check the spelling of schema."],
  "42501": (context, { message }) =>
    message.includes("row-level security")
      ? [
          "PRIVILEGE_MISSING",
          `${inTable(context)}row-level security would hide rows from user "${context.user}": ${message}`,
          `Without those rows the copy would be incomplete. ALTER ROLE ${escapeIdentifier(context.user)} BYPASSRLS; or exclude the table.`,
        ]
      : [
          "PRIVILEGE_MISSING",
          `${inTable(context)}user "${context.user}" lacks a privilege: ${message}`,
          context.table === undefined
            ? `Ask the owner to grant it to ${escapeIdentifier(context.user)}.`
            : `GRANT SELECT ON ${qualifiedName(context.table.schema, context.table.name)} TO ${escapeIdentifier(context.user)};`,
        ],
  "42P01": (context, { message }) => [
    "TABLE_UNKNOWN",
    `${inTable(context)}the table does not exist: ${message}`,
    "If it was dropped or renamed, exclude it from the selection.",
  ],
  "42703": (context, { message }) => [
    "TABLE_CHANGED",
    `${inTable(context)}a column is gone: ${message}`,
    "The table was altered while it was read; it is planned again.",
  ],
  "57014": (context, { message }) => [
    "READ_TIMEOUT",
    `${inTable(context)}the server cancelled a read: ${message}`,
    "Raise statement_timeout, or the role's own (0: no limit).",
  ],
  "55P03": conflict,
  "40001": conflict,
  "40P01": conflict,
  "72000": conflict,
  "53300": ({ host, port }, { message }) => [
    "SERVER_UNAVAILABLE",
    `the server at ${host}:${port} has no free connection: ${message}`,
    "It may pass by itself. Read fewer splits at the same time, or raise the server's max_connections.",
  ],
  "53200": serverUnavailable,
  "53400": serverUnavailable,
  "57P01": serverUnavailable,
  "57P02": serverUnavailable,
  "57P03": serverUnavailable,
  "57P05": lost,
  "25P03": lost,
  "25P04": lost,
  "22003": valueOutOfRange,
  "22007": valueOutOfRange,
  "22008": valueOutOfRange,
  "22P02": valueOutOfRange,
  "22P05": notUtf8,
  "22021": notUtf8,
};

/** Errors of Node.js and `pg` without a code of their own: `pattern` matches the message. */
const clientMessages: readonly (readonly [pattern: RegExp, Explain])[] = [
  [
    /does not support SSL connections/,
    ({ sslmode }) => [
      "TLS_MISMATCH",
      `sslmode: "${sslmode}" requires TLS, but the server has it switched off`,
      'Switch TLS on at the server, or set sslmode to "prefer" or "disable".',
    ],
  ],
  [
    /client password must be a (non-empty )?string/,
    ({ user }) => [
      "LOGIN_FAILED",
      `password: the server asks user "${user}" for a password, but none is set`,
      "Set password.",
    ],
  ],
  [/Connection terminated|not queryable|socket/i, lost],
];

/** Errors of YugabyteDB with less specific codes (40001, XX000). */
const yugabyteMessages: readonly (readonly [pattern: RegExp, Explain])[] = [
  [/snapshot too old|restart read|read restart/i, conflict],
  [
    /schema version mismatch|catalog version mismatch/i,
    (context, { message }) => [
      "TABLE_CHANGED",
      `${inTable(context)}the table was altered: ${message}`,
      "It is planned again.",
    ],
  ],
];

/**
 * Any error of a PostgreSQL connection as one that a user can act on. An error that no table has is `SOURCE_FAILED` with the
 * server's own text.
 */
export function postgresError(thrown: unknown, context: ErrorContext): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const error = native(thrown);
  const said = (patterns: typeof clientMessages): Explain | undefined =>
    patterns.find(([pattern]) => pattern.test(error.message))?.[1];
  const isServers = error.code !== null && /^[0-9A-Z]{5}$/.test(error.code);
  const known = networkError(thrown, placeOf(context));
  if (known !== null) return known;
  const explain =
    (error.code === "40001" || error.code === "XX000" ? said(yugabyteMessages) : undefined) ??
    table[error.code ?? ""] ??
    (isServers ? undefined : said(clientMessages));
  if (explain !== undefined) {
    const [code, message, hint] = explain(context, error);
    return new HeadwatersError(code, message, { hint, cause: thrown });
  }
  const state = error.code === null ? "" : ` (${error.code})`;
  const detail = error.detail === null ? "" : ` ${error.detail}`;
  return new HeadwatersError("SOURCE_FAILED", `${inTable(context)}the server says: ${error.message}${detail}${state}`, {
    ...(error.hint === null ? {} : { hint: error.hint }),
    cause: thrown,
  });
}

function native(thrown: unknown): NativeError {
  const fields = (typeof thrown === "object" && thrown !== null ? thrown : {}) as Record<string, unknown>;
  const text = (name: string): string | null => (typeof fields[name] === "string" ? fields[name] : null);
  return { code: nativeCode(thrown), message: messageOf(thrown), detail: text("detail"), hint: text("hint") };
}

function placeOf({ host, port }: ErrorContext): Place {
  return { names, host, port };
}

function inTable({ table }: ErrorContext): string {
  return table === undefined ? "" : `table ${qualifiedName(table.schema, table.name)}: `;
}
