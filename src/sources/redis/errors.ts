import { type Names, networkError } from "../../net/errors.ts";
import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";
import { RespError, RespProtocolError, RespTimeout, unknownCommand } from "../../wire/resp/errors.ts";

/** Values that messages name. */
export interface ErrorContext {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly database: number;
  readonly tls: boolean;
}

type Text = string | ((context: ErrorContext, native: string, error: RespError) => string);

interface Meaning {
  readonly code: ErrorCode;
  readonly message: Text;
  readonly hint: Text;
}

const where = ({ host, port }: ErrorContext): string => `${host}:${port}`;
const who = ({ username }: ErrorContext): string => username ?? "default";

/** The texts of denials in Redis and Valkey. Some contain the user's name, so nothing else is matched. */
const accessDenied = /^NOPERM.* to access (?:a|one of the) (?:key|channel)s?\b/i;
const commandDenied = /^NOPERM.* to run the '[^']+' command/i;

/** The meaning of the server's errors, by a pattern of their text. The first match counts. */
export const serverErrors: readonly (readonly [RegExp, Meaning])[] = [
  [
    /^NOAUTH|^ERR AUTH required/,
    {
      code: "LOGIN_FAILED",
      message: (context) => `password: the server at ${where(context)} requires a password`,
      hint: "Set password, and username if the server has several users (ACL).",
    },
  ],
  [
    /^WRONGPASS|^ERR invalid password/,
    {
      code: "LOGIN_FAILED",
      message: (context) => `username, password: the server refuses the user "${who(context)}" with this password`,
      hint: "Check both; ACL LIST on the server shows its users.",
    },
  ],
  [
    /^ERR (?:Client sent AUTH, but no password is set|AUTH .*(?:without any password|no password))/i,
    {
      code: "LOGIN_FAILED",
      message: "password: the server has no password set, but one is configured",
      hint: "Leave password empty, or set one on the server.",
    },
  ],
  [
    /^DENIED/,
    {
      code: "LOGIN_FAILED",
      message: (context) =>
        `the server at ${where(context)} is in protected mode and refuses connections from other machines`,
      hint: "Set a password on the server (requirepass or ACL), or connect from its own machine.",
    },
  ],
  [
    /^ERR (?:DB index is out of range|invalid DB index|SELECT is not allowed)/i,
    {
      code: "DATABASE_UNKNOWN",
      message: ({ database }) => `database: the server has no database ${database}`,
      hint: "Most servers have 0 to 15, clusters 0 alone; the server's option for it is databases (dbnum on Dragonfly).",
    },
  ],
  [
    accessDenied,
    {
      code: "PRIVILEGE_MISSING",
      message: (context) => `the user "${who(context)}" may not read all keys that key_pattern matches`,
      hint: (context) =>
        `Give the right with ACL SETUSER ${who(context)} %R~<pattern>, or narrow key_pattern to what the user may read.`,
    },
  ],
  [
    commandDenied,
    {
      code: "PRIVILEGE_MISSING",
      message: (context, native) => `the user "${who(context)}" may not run the command ${deniedCommand(native)}`,
      hint: (context, native) => `Allow it with ACL SETUSER ${who(context)} +${deniedCommand(native).toLowerCase()}.`,
    },
  ],
  [
    // Dragonfly says only this, of commands and of keys: `NOPERM reader has no ACL permissions`.
    /^NOPERM/,
    {
      code: "PRIVILEGE_MISSING",
      message: (context, _, { command }) =>
        `the user "${who(context)}" may not run ${command === null ? "a command" : `the command ${command}`}, or may not read all keys that key_pattern matches`,
      hint: "Run `headwaters check`: it finds out which of the two, and names everything that is missing.",
    },
  ],
  [
    /^ERR Bad TLS header/i,
    {
      code: "TLS_MISMATCH",
      message: (context) => `ssl: the server at ${where(context)} requires TLS, but ssl is false`,
      hint: "Set ssl to true, or port to one without TLS.",
    },
  ],
  [
    /^LOADING/,
    {
      code: "SERVER_UNAVAILABLE",
      message: (context) => `the server at ${where(context)} is still loading its data`,
      hint: "It may pass by itself. If it does not, check the server's log.",
    },
  ],
  [
    /^ERR max number of clients|^ERR max clients/i,
    {
      code: "SERVER_UNAVAILABLE",
      message: (context) => `the server at ${where(context)} has no free connection (maxclients)`,
      hint: "Close other connections, or raise maxclients: Headwaters opens up to four for each table that it reads.",
    },
  ],
  [
    /^(?:MASTERDOWN|BUSY|TRYAGAIN|CLUSTERDOWN|OOM|READONLY)\b/,
    {
      code: "SERVER_UNAVAILABLE",
      message: (context, native) => `the server at ${where(context)} can't answer now: ${native}`,
      hint: "It may pass by itself. If it does not, check the server.",
    },
  ],
  [
    /^ERR unknown command.*pexpiretime/i,
    {
      code: "CONFIGURATION_INVALID",
      message: (context) =>
        `expires_at: the server at ${where(context)} has no command for the time at which a key expires (PEXPIRETIME)`,
      hint: "Set expires_at to false. Redis 7.0 and later have the command.",
    },
  ],
  [
    /^ERR unknown (?:sub)?command/i,
    {
      code: "CONFIGURATION_INVALID",
      message: (context, _, error) => `the server at ${where(context)} has no command ${unknownCommand(error)}`,
      hint: "It may be renamed (rename-command), or a proxy may not pass it on. `headwaters check` names all commands that are missing.",
    },
  ],
  [
    /^(?:MOVED|ASK)\b/,
    {
      code: "CONFIGURATION_INVALID",
      message: (context) => `host: ${where(context)} is one node of a cluster and does not have all keys`,
      hint: "Make a connection for each node, with a table_name of its own.",
    },
  ],
];

const names: Names = {
  server: "Redis",
  host: "host",
  tls: "ssl",
  noTls: "ssl to false",
  serverTls: "tls-port",
  ca: "ssl_ca",
  certificate: "ssl_cert",
  key: "ssl_key",
  anyName: "ssl_check_hostname to false",
  listens: "bind",
  timeout: null,
};

/** The command that a NOPERM names: `… to run the 'hscan' command`. */
function deniedCommand(native: string): string {
  return / to run the '([^']+)' command/i.exec(native)![1]!.toUpperCase();
}

/** What a denial is about; `null`: the server does not say, or it is another error. */
export function deniedPart({ message }: RespError): "command" | "keys" | null {
  return accessDenied.test(message) ? "keys" : commandDenied.test(message) ? "command" : null;
}

/** The key has another type than the command needs; modules have their own texts for it. */
export function isWrongType(error: RespError): boolean {
  return /^(?:ERR )?WRONGTYPE|wrong (?:redis )?type|wrong kind of value/i.test(error.message);
}

/** The key was removed, or changed its type, after SCAN returned it. */
export function isGone(error: RespError): boolean {
  return isWrongType(error) || /key does not exist|no such key/i.test(error.message);
}

/** The key is not on this node: another node has its slot, or the slot is moving and the key is already gone. */
export function isElsewhere(error: RespError): boolean {
  return error.word === "MOVED" || error.word === "ASK";
}

/** Turns any error while talking to the server into a {@link HeadwatersError}. */
export function sourceError(thrown: unknown, context: ErrorContext): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const native = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof RespError) {
    const known = serverErrors.find(([pattern]) => pattern.test(native));
    if (known !== undefined) return made(known[1], context, native, thrown);
    return new HeadwatersError("SOURCE_FAILED", `the server reported: ${native}`, { cause: thrown });
  }
  if (thrown instanceof RespProtocolError) return notRedis(thrown, context);
  if (thrown instanceof RespTimeout) return timedOut(thrown, context);
  return (
    networkError(thrown, { names, ...context }) ??
    new HeadwatersError("SOURCE_FAILED", `the connection to ${where(context)} failed: ${native}`, { cause: thrown })
  );
}

function made(
  { code, message, hint }: Meaning,
  context: ErrorContext,
  native: string,
  cause: RespError,
): HeadwatersError {
  const text = (from: Text): string => (typeof from === "string" ? from : from(context, native, cause));
  return new HeadwatersError(code, text(message), { hint: text(hint), cause });
}

function notRedis(thrown: RespProtocolError, context: ErrorContext): HeadwatersError {
  // 21: a TLS alert; 22: a TLS handshake.
  if (thrown.bytes[0] === 21 || thrown.bytes[0] === 22) return wantsTls(context, thrown);
  const what = Buffer.from(thrown.bytes).toString("latin1").startsWith("HTTP")
    ? "an HTTP server"
    : "something other than Dragonfly, Redis or Valkey";
  return new HeadwatersError("PROTOCOL_MISMATCH", `port: ${what} answers at ${where(context)}`, {
    hint: "Set port to that of the database, typically 6379.",
    cause: thrown,
  });
}

/** The server requires TLS, but none is configured. */
export function wantsTls(context: ErrorContext, cause: unknown): HeadwatersError {
  return new HeadwatersError("TLS_MISMATCH", `ssl: the server at ${where(context)} requires TLS, but ssl is false`, {
    hint: "Set ssl to true, or port to one without TLS.",
    cause,
  });
}

/** TLS is configured, and the server answers in the clear. */
export function hasNoTls(context: ErrorContext, cause: unknown): HeadwatersError {
  return new HeadwatersError(
    "TLS_MISMATCH",
    `ssl: the server at ${where(context)} has no TLS at this port, but ssl is true`,
    {
      hint: "Set ssl to false, or port to the server's TLS port.",
      cause,
    },
  );
}

function timedOut(thrown: RespTimeout, context: ErrorContext): HeadwatersError {
  const message = `the server at ${where(context)} did not answer: ${thrown.message}`;
  return new HeadwatersError("READ_TIMEOUT", message, {
    hint: "It may pass by itself. If it does not, look for slow commands on the server (SLOWLOG GET). read_timeout says how long to wait.",
    cause: thrown,
  });
}
