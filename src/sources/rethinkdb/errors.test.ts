import { expect, test } from "vitest";
import { explain } from "./errors.ts";

const context = { host: "db", port: 28015, database: "app", username: "reader" };

test.each([
  ["CERT_REJECTED", "TLS_UNVERIFIED"],
  ["INVALID_CA", "TLS_UNVERIFIED"],
  ["INVALID_PURPOSE", "TLS_UNVERIFIED"],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLS_MISMATCH"],
  ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "TLS_MISMATCH"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "TLS_MISMATCH"],
])("%s is %s, and names the setting", (code, known) => {
  const error = explain(Object.assign(new Error("said by TLS"), { code }), context);
  expect([error.code, error.message]).toEqual([known, expect.stringMatching(/^use_ssl: .*: said by TLS$/)]);
  expect(error.hint).not.toBeNull();
});
