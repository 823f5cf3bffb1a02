import { messageOf, type Names, nativeCode, networkError, type Place } from "../../net/errors.ts";
import { ConnectionLost } from "../../net/socket.ts";
import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";
import { UnfitKey } from "./decode.ts";
import { TypeChanged, UnfitColumn } from "./decode-page.ts";
import { NotCql } from "./frames.ts";
import { protocolVersion } from "./frames.ts";
import { CqlLoginWanted, CqlServerError, CqlTimeout, serverErrors } from "./server-error.ts";

/** What an error's message and hint are made of. */
export interface ErrorContext {
  /** This source's names for its settings. */
  readonly names: { readonly host: string; readonly dataCenter: string };
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly keyspace: string;
  readonly tls: boolean;
  readonly consistency: string;
  /** The table that was being read, if any. */
  readonly table?: string | undefined;
}

type Explain = (
  context: ErrorContext,
  message: string,
  thrown: unknown,
) => readonly [ErrorCode, message: string, hint: string];

/** The names that both sources share. */
const sharedNames: Omit<Names, "host"> = {
  server: "Cassandra",
  tls: "tls",
  noTls: "tls to false",
  serverTls: "client_encryption_options",
  ca: "ca_file",
  certificate: "cert_file",
  key: "key_file",
  anyName: "verify_hostname to false",
  listens: "rpc_address",
  timeout: "connect_timeout",
};

function placeOf({ names, host, port }: ErrorContext): Place {
  return { names: { ...sharedNames, ...names }, host, port };
}

const unavailable: Explain = (context, message) => [
  "SERVER_UNAVAILABLE",
  `${inTable(context)}the cluster can't answer now: ${message}`,
  "It may pass by itself. If it does not, see which nodes are down (nodetool status).",
];

const tooLong: Explain = (context, message) => [
  "READ_TIMEOUT",
  `${inTable(context)}a read failed or took too long, even in small parts: ${message}`,
  "It may pass by itself. If it does not, check the server's load and its tombstones (a compaction removes them; tombstone_failure_threshold limits them), or raise read_request_timeout and range_request_timeout there.",
];

/** By a code of the protocol, as `0x2200`. */
const table: Readonly<Record<string, Explain>> = {
  [hex(serverErrors.protocol)]: ({ host, port }, message) => [
    "PROTOCOL_MISMATCH",
    `port: the server at ${host}:${port} does not accept CQL protocol v${protocolVersion}: ${message}`,
    "Cassandra 3.0 and later and ScyllaDB speak it. If the server is one of these, report this as a defect.",
  ],
  [hex(serverErrors.badCredentials)]: ({ username }, message) => [
    "LOGIN_FAILED",
    `password: the server refuses user "${username}" or its password: ${message}`,
    "Check username and password.",
  ],
  [hex(serverErrors.unavailable)]: unavailable,
  [hex(serverErrors.overloaded)]: unavailable,
  [hex(serverErrors.bootstrapping)]: unavailable,
  [hex(serverErrors.rateLimit)]: unavailable,
  [hex(serverErrors.readTimeout)]: tooLong,
  [hex(serverErrors.readFailure)]: tooLong,
  [hex(serverErrors.unauthorized)]: (context, message) => [
    "PRIVILEGE_MISSING",
    `${inTable(context)}user "${context.username}" lacks a privilege: ${message}`,
    `GRANT SELECT ON ${context.table === undefined ? `KEYSPACE ${quoted(context.keyspace)}` : `${quoted(context.keyspace)}.${quoted(context.table)}`} TO ${quoted(context.username ?? "")};`,
  ],
  [hex(serverErrors.unprepared)]: (context, message) => [
    "TABLE_CHANGED",
    `${inTable(context)}the server forgot a statement twice: ${message}`,
    "The table was altered while it was read. It is planned again.",
  ],
};

/** The server's messages for `Invalid`. */
const invalidMessages: readonly (readonly [pattern: RegExp, Explain])[] = [
  [
    /consistency[ _]levels?\b/i,
    (context, message) => [
      "CONFIGURATION_INVALID",
      `${inTable(context)}consistency: the server does not allow reads at ${context.consistency}: ${message}`,
      "Set consistency and lookup_consistency to levels that its guardrails allow (read_consistency_levels_disallowed).",
    ],
  ],
  [
    /unconfigured table|unconfigured columnfamily|table .*does not exist|no keyspace/i,
    (context, message) => [
      "TABLE_UNKNOWN",
      `${inTable(context)}the table does not exist: ${message}`,
      "If it was dropped or renamed, exclude it from the selection.",
    ],
  ],
  [
    /keyspace .*does not exist/i,
    ({ keyspace }, message) => [
      "DATABASE_UNKNOWN",
      `keyspace: "${keyspace}": ${message}`,
      "Check the spelling of keyspace; case matters.",
    ],
  ],
  [
    /undefined column|unknown identifier|undefined name|unrecognized name/i,
    (context, message) => ["TABLE_CHANGED", `${inTable(context)}a column is gone: ${message}`, "It is planned again."],
  ],
];

/**
 * Any error of reading CQL as one that a user can act on. An error that no table has is `SOURCE_FAILED` with the
 * server's own text; a defect of ours stays one.
 */
export function cqlError(thrown: unknown, context: ErrorContext): unknown {
  if (thrown instanceof HeadwatersError) return thrown;
  const known = networkError(thrown, placeOf(context));
  const silent = thrown instanceof ConnectionLost && !thrown.answered && known?.code === "CONNECTION_LOST";
  if (known !== null && !silent) return known;
  const made = explained(thrown, context);
  if (made === null) return thrown;
  const [code, message, hint] = made;
  return new HeadwatersError(code, message, { hint, cause: thrown });
}

function explained(thrown: unknown, context: ErrorContext): ReturnType<Explain> | null {
  const { names, host, port } = context;
  if (thrown instanceof CqlServerError) return explainedServer(thrown, context);
  if (thrown instanceof CqlTimeout) return tooLong(context, thrown.message, thrown);
  if (thrown instanceof ConnectionLost) {
    // A TLS server closes a connection that does not begin with a handshake, mostly without a message.
    return [
      context.tls ? "TLS_MISMATCH" : "PROTOCOL_MISMATCH",
      `port: ${host}:${port} closes the connection at the first message`,
      context.tls
        ? "Check whether the server has TLS switched on at this port. If it has not, set tls to false."
        : "Set tls to true if the server requires TLS. Otherwise check that this is its CQL port (native_transport_port).",
    ];
  }
  if (thrown instanceof NotCql) return explainedBytes(thrown, context);
  if (thrown instanceof CqlLoginWanted) {
    return [
      "LOGIN_FAILED",
      `username: the server requires a login (${thrown.authenticator}), but the settings have none for it`,
      "Set username and password.",
    ];
  }
  if (thrown instanceof UnfitColumn && thrown.cause instanceof UnfitKey) {
    return [
      "KEY_DUPLICATE",
      `${inTable(context)}two keys may become one, by column "${thrown.column}" (${thrown.native}): ${thrown.message}`,
      thrown.cause.type.kind === "STRING"
        ? "Exclude the table (tables.exclude): no type keeps the keys apart."
        : `Set the column's type to one that keeps the keys apart: types: { ${thrown.column}: STRING }.`,
    ];
  }
  if (thrown instanceof UnfitColumn) {
    return [
      "VALUE_OUT_OF_RANGE",
      `${inTable(context)}a value of column "${thrown.column}" (${thrown.native}) does not fit: ${thrown.message}`,
      `Set the column's type to one that holds every value, such as types: { ${thrown.column}: STRING }.`,
    ];
  }
  if (thrown instanceof TypeChanged)
    return ["TABLE_CHANGED", `${inTable(context)}${thrown.message}`, "It is planned again."];
  const code = nativeCode(thrown);
  if (code === null) return null;
  return [
    "SOURCE_FAILED",
    `${names.host}: ${host}:${port}: ${messageOf(thrown)} (${code})`,
    "Look this code up in the manual of Node.js or of the operating system.",
  ];
}

function explainedServer(thrown: CqlServerError, context: ErrorContext): ReturnType<Explain> {
  const { code, message } = thrown;
  const said = code === serverErrors.invalid || code === serverErrors.config || code === serverErrors.syntax;
  const explain = said ? invalidMessages.find(([pattern]) => pattern.test(message))?.[1] : table[hex(code)];
  return (
    explain?.(context, message, thrown) ?? [
      "SOURCE_FAILED",
      `${inTable(context)}the server says: ${message} (${hex(code)})`,
      "Check the server's log.",
    ]
  );
}

/** What the first bytes show about the server. */
function explainedBytes({ bytes }: NotCql, context: ErrorContext): ReturnType<Explain> {
  const { host, port } = context;
  // A TLS alert: type 21, version 3.x.
  if (bytes[0] === 0x15 && bytes[1] === 0x03) {
    return ["TLS_MISMATCH", `tls: it is false, but the server at ${host}:${port} requires TLS`, "Set tls to true."];
  }
  return [
    "PROTOCOL_MISMATCH",
    `port: the server at ${host}:${port} is not Cassandra or ScyllaDB`,
    "Set port to the server's CQL port: 9042 unless native_transport_port says otherwise.",
  ];
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(4, "0")}`;
}

function inTable({ keyspace, table: name }: ErrorContext): string {
  return name === undefined ? "" : `table "${keyspace}.${name}": `;
}

/** An identifier of CQL, with any characters. */
export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
