import { describe, expect, test } from "vitest";
import { HeadwatersError } from "../../protocol/errors.ts";
import { type ErrorContext, postgresError } from "./errors.ts";

const context: ErrorContext = {
  host: "db.example",
  port: 5433,
  database: "iot",
  user: 'the "reader"',
  sslmode: "require",
  table: { schema: "public", name: "t" },
};

/** As `pg` throws them. */
function native(code: string | undefined, message: string): Error {
  return Object.assign(new Error(message), { code });
}

describe("native errors", () => {
  test.each([
    ["ENOTFOUND", "getaddrinfo", "HOST_UNKNOWN", "host: "],
    ["EAI_AGAIN", "getaddrinfo", "HOST_UNKNOWN", "host: "],
    ["ECONNREFUSED", "", "CONNECTION_REFUSED", "port: nothing listens at db.example:5433"],
    ["EHOSTUNREACH", "", "CONNECTION_REFUSED", "host: "],
    ["ETIMEDOUT", "", "CONNECTION_TIMEOUT", "host: "],
    ["ECONNRESET", "read ECONNRESET", "CONNECTION_LOST", "read ECONNRESET"],
    [undefined, "Connection terminated unexpectedly", "CONNECTION_LOST", "broke"],
    [undefined, "The server does not support SSL connections", "TLS_MISMATCH", 'sslmode: "require"'],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "write EPROTO wrong version number", "TLS_MISMATCH", "handshake"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate", "TLS_UNVERIFIED", "sslmode"],
    ["28P01", "password authentication failed", "LOGIN_FAILED", "password: "],
    ["28000", 'no pg_hba.conf entry for host "::1", no encryption', "TLS_MISMATCH", "sslmode: "],
    ["28000", 'no pg_hba.conf entry for host "::1", SSL encryption', "LOGIN_FAILED", "user: "],
    ["3D000", 'database "iot" does not exist', "DATABASE_UNKNOWN", "database: "],
    ["42501", "permission denied for table t", "PRIVILEGE_MISSING", 'table "public"."t": user'],
    ["42P01", 'relation "t" does not exist', "TABLE_UNKNOWN", "does not exist"],
    ["42703", 'column "c" does not exist', "TABLE_CHANGED", "a column is gone"],
    ["57014", "canceling statement due to statement timeout", "READ_TIMEOUT", "cancelled"],
    ["40001", "could not serialize access", "READ_CONFLICT", "read again"],
    ["40001", "Query error: Snapshot too old: Snapshot too old.", "READ_CONFLICT", "Snapshot too old"],
    ["40001", "schema version mismatch for table 000", "TABLE_CHANGED", "altered"],
    ["XX000", "Query error: schema version mismatch for table 000", "TABLE_CHANGED", "altered"],
    ["72000", "snapshot too old", "READ_CONFLICT", "snapshot too old"],
    ["53300", "sorry, too many clients already", "SERVER_UNAVAILABLE", "no free connection"],
    ["57P01", "terminating connection due to administrator command", "SERVER_UNAVAILABLE", "not available"],
    ["57P03", "the database system is starting up", "SERVER_UNAVAILABLE", "not available"],
    ["22003", "integer out of range", "VALUE_OUT_OF_RANGE", "does not fit"],
    ["XX001", "invalid page in block 7", "SOURCE_FAILED", "invalid page in block 7 (XX001)"],
    [undefined, "something odd", "SOURCE_FAILED", "something odd"],
  ])("%s %s is %s", (code, message, expected, text) => {
    const error = postgresError(native(code, message), context);
    expect(error.code).toBe(expected);
    expect(error.message).toContain(text);
    if (expected !== "SOURCE_FAILED") expect(error.hint).toBeTruthy();
  });

  test("a missing privilege has the statement that grants it", () => {
    expect(postgresError(native("42501", "permission denied"), context).hint).toBe(
      'GRANT SELECT ON "public"."t" TO "the ""reader""";',
    );
  });

  test("several addresses of one host", () => {
    const error = Object.assign(new AggregateError([new Error("connect ECONNREFUSED ::1:5433")], ""), {
      code: "ECONNREFUSED",
    });
    expect(postgresError(error, context).code).toBe("CONNECTION_REFUSED");
  });

  test("ours stay what they are", () => {
    const error = new HeadwatersError("READ_TIMEOUT", "late");
    expect(postgresError(error, context)).toBe(error);
  });
});
