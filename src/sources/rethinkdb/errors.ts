import { connectionLost, messageOf, type Names, networkError } from "../../net/errors.ts";
import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";
import { type ConnectionFailure, ReqlConnectionError, ReqlQueryError } from "../../wire/reql/failures.ts";
import { ScanError } from "../../wire/reql/scanner.ts";

/** The values that an error's message and hint use. */
export interface ErrorContext {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
  /** The table that was being read, if any. */
  readonly table?: string | undefined;
}

type Explain = (context: ErrorContext, message: string) => readonly [ErrorCode, message: string, hint: string];

const again = "It may pass by itself.";

const names: Names = {
  server: "RethinkDB",
  host: "host",
  tls: "use_ssl",
  noTls: "use_ssl to false",
  serverTls: "driver-tls",
  ca: "ssl_ca",
  certificate: null,
  key: null,
  anyName: null,
  listens: "bind",
  timeout: "connect_timeout",
};

/** Explanations of our client's connection failures. */
const connectionFailures: Readonly<Record<ConnectionFailure, Explain>> = {
  "not RethinkDB": ({ host, port }, message) => [
    "PROTOCOL_MISMATCH",
    `port: the server at ${host}:${port} does not speak RethinkDB's driver protocol: ${message}`,
    foreignHint(message),
  ],
  "speaks TLS": ({ host, port }) => [
    "TLS_MISMATCH",
    `use_ssl: the server at ${host}:${port} requires TLS, but use_ssl is false`,
    "Set use_ssl to true, and ssl_ca to the authority that signed the server's certificate.",
  ],
  "user unknown": ({ username }) => [
    "LOGIN_FAILED",
    `username: the server has no user "${username}"`,
    /[,=]/.test(username)
      ? "Create a user with another name: RethinkDB can't log in a user whose name has a comma or an equals sign."
      : "Check username: case matters. Users are in the table rethinkdb.users.",
  ],
  "password wrong": ({ username }) => [
    "LOGIN_FAILED",
    `password: the server refuses the password of user "${username}"`,
    "Check username and password.",
  ],
  "login refused": ({ username }, message) => [
    "LOGIN_FAILED",
    `username: the server refuses user "${username}": ${message}`,
    "Check username and password.",
  ],
  silent: ({ host, port }, message) => [
    "READ_TIMEOUT",
    `the server at ${host}:${port} does not answer: ${message}`,
    `${again} If the server is frozen or very slow, check its log; read_timeout says how long to wait.`,
  ],
  lost: (context, message) => connectionLost({ names, ...context }, message),
  closed: ({ host, port }, message) => [
    "CONNECTION_LOST",
    `the connection to ${host}:${port} was closed: ${message}`,
    again,
  ],
};

function foreignHint(message: string): string {
  if (message.includes("HTTP/")) {
    return "It looks like the web interface (8080 by default): set port to the driver port, 28015 by default.";
  }
  if (message.includes("cluster")) {
    return "It looks like the port between servers (29015 by default): set port to the driver port, 28015 by default.";
  }
  return "Set port to the driver port, 28015 by default. RethinkDB must be 2.3 or later.";
}

/** One code has many meanings, and the text decides among them. The first match counts. */
const queryErrors: readonly (readonly [code: number | null, text: RegExp, explain: Explain])[] = [
  [
    4_100_000,
    /^Table `.*` does not exist/,
    (context, message) => [
      "TABLE_UNKNOWN",
      `${inTable(context)}it does not exist: ${message}`,
      "If it was dropped or renamed, leave it out of the selection.",
    ],
  ],
  [
    4_100_000,
    /^Database `.*` does not exist/,
    ({ database }) => [
      "DATABASE_UNKNOWN",
      `database: the server has no database "${database}"`,
      "Check the spelling of database; case matters.",
    ],
  ],
  [
    4_100_000,
    /Failed to retrieve the table configuration/,
    (context, message) => [
      "TABLE_CHANGED",
      `${inTable(context)}it was dropped or altered while it was read: ${message}`,
      "It is planned again.",
    ],
  ],
  [
    4_100_000,
    /^Index /,
    (context, message) => [
      "TABLE_CHANGED",
      `${inTable(context)}an index of this read changed: ${message}`,
      "It is planned again, without that index.",
    ],
  ],
  [
    4_100_000,
    /^Cannot perform read|not available|unavailable|not ready|lost contact|unreachable|aborted/i,
    (context, message) => [
      "SERVER_UNAVAILABLE",
      `${inTable(context)}the server can't read now: ${message}`,
      `${again} After a restart it takes some seconds. If it lasts longer, check the table's status.`,
    ],
  ],
  [
    4_200_000,
    /./,
    (context, message) => ["READ_CONFLICT", `${inTable(context)}the server ended a query: ${message}`, again],
  ],
  [
    null,
    /required `(\w+)` permission/,
    (context, message) => [
      "PRIVILEGE_MISSING",
      `${inTable(context)}${message}`,
      `As admin run r.db(${JSON.stringify(context.database)}).grant(${JSON.stringify(context.username)}, {read: true}).`,
    ],
  ],
  [
    2_000_000,
    /./,
    (context, message) => [
      "SOURCE_FAILED",
      `${inTable(context)}a limit of the server was reached: ${message}`,
      "Please report it: no query of ours should need more.",
    ],
  ],
  [
    null,
    /^Token \d+ not in stream cache/,
    (context, message) => ["READ_CONFLICT", `${inTable(context)}the server lost a query: ${message}`, again],
  ],
];

/** Whether a query failed because its index, or primary key of that name, does not exist. */
export function isIndexMissing(thrown: unknown): boolean {
  return thrown instanceof ReqlQueryError && /^Index `.*` was not found/s.test(thrown.message);
}

function inTable({ table }: ErrorContext): string {
  return table === undefined ? "" : `table "${table}": `;
}

/** Turns any error into one that a user understands. */
export function explain(thrown: unknown, context: ErrorContext): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const known = networkError(thrown, { names, ...context });
  if (known !== null) return known;
  // The server's sentences stand inside ours.
  const message = messageOf(thrown).replace(/\.$/, "");
  const found = explanation(thrown, message);
  if (found === null) {
    const what = thrown instanceof ReqlQueryError ? ` (code ${thrown.code})` : "";
    return new HeadwatersError("SOURCE_FAILED", `${inTable(context)}${message}${what}`, { cause: thrown });
  }
  const [code, said, hint] = found(context, message);
  return new HeadwatersError(code, said, { hint, cause: thrown });
}

function explanation(thrown: unknown, message: string): Explain | null {
  if (thrown instanceof ReqlConnectionError) return connectionFailures[thrown.failure];
  if (thrown instanceof ReqlQueryError) {
    const found = queryErrors.find(([code, text]) => (code === null || code === thrown.code) && text.test(message));
    return found?.[2] ?? null;
  }
  return thrown instanceof ScanError ? scanFailure : null;
}

const scanFailure: Explain = (context, message) => [
  "PROTOCOL_MISMATCH",
  `${inTable(context)}an answer of the server is not the expected JSON: ${message}`,
  "Please report it.",
];
