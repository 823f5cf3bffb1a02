import { describe, expect, test } from "vitest";
import { destinationError } from "../../src/destinations/postgresql/errors.ts";
import { faults } from "../../src/net/errors.ts";
import { ConnectionLost, ConnectTimeout } from "../../src/net/socket.ts";
import { asHeadwatersError, type HeadwatersError } from "../../src/protocol/errors.ts";
import { sourceError } from "../../src/sources/redis/errors.ts";
import { explain } from "../../src/sources/rethinkdb/errors.ts";
import { cqlError } from "../../src/wire/cql/errors.ts";
import { postgresError } from "../../src/wire/postgres/errors.ts";

const place = { host: "db.example", port: 4242 };
const postgres = { ...place, database: "d", user: "u", sslmode: "prefer" } as const;
const ofDestination = {
  ...postgres,
  password: "",
  ssl: postgres,
  connectTimeout: 1,
  statementTimeout: null,
  readOnly: false,
  silence: 1,
};
const cql = { ...place, username: null, keyspace: "k", tls: true, consistency: "ONE" };

/** Everything that connects, with how its own settings are called. */
const all: Readonly<
  Record<string, readonly [explain: (thrown: unknown) => unknown, host: string, tls: string, certificate: string]>
> = {
  postgresql: [(thrown) => postgresError(thrown, postgres), "host", "sslmode", "sslcert"],
  "destination postgresql": [(thrown) => destinationError(thrown, ofDestination), "host", "sslmode", "sslcert"],
  cassandra: [
    (thrown) => cqlError(thrown, { ...cql, names: { host: "hostname", dataCenter: "data_center" } }),
    "hostname",
    "tls",
    "cert_file",
  ],
  scylladb: [
    (thrown) => cqlError(thrown, { ...cql, names: { host: "host_1", dataCenter: "data_center_region" } }),
    "host_1",
    "tls",
    "cert_file",
  ],
  rethinkdb: [
    (thrown) => explain(thrown, { ...place, database: "d", username: "u" }),
    "host",
    "use_ssl",
    // There is no setting for one.
    "use_ssl",
  ],
  redis: [
    (thrown) => sourceError(thrown, { ...place, username: null, database: 0, tls: true }),
    "host",
    "ssl",
    "ssl_cert",
  ],
};

function native(code: string): Error {
  return Object.assign(new Error(`said of ${code}`), { code, syscall: "connect" });
}

describe.each(Object.entries(all))("%s", (_name, [explained, host, tls, certificate]) => {
  const told = (thrown: unknown): HeadwatersError => {
    const error = asHeadwatersError(explained(thrown));
    expect(error.hint).toBeTruthy();
    expect(`${error.message} ${error.hint}`).not.toContain("undefined");
    return error;
  };

  test.each(Object.entries(faults))("%s", (code, fault) => {
    const error = told(native(code));
    expect(error.code).toBe(fault.code);
    expect(error.message).toContain("db.example");
    if (fault.code === "CONNECTION_LOST") expect(error.message).toContain("db.example:4242 broke");
    else expect([host, "port", tls, certificate]).toContain(error.message.slice(0, error.message.indexOf(": ")));
    if (fault.code === "TLS_UNVERIFIED")
      expect(error.message).toBe(`${tls}: the certificate of db.example can't be verified: said of ${code}`);
  });

  test("what OpenSSL says besides", () => {
    expect(told(native("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION"))).toMatchObject({
      code: "TLS_MISMATCH",
      message: `${tls}: the TLS handshake with db.example:4242 failed: said of ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION`,
    });
  });

  test("several addresses of one host", () => {
    const errors = [native("ECONNREFUSED"), native("ECONNREFUSED")];
    const error = told(Object.assign(new AggregateError(errors, ""), { code: "ECONNREFUSED" }));
    expect(error).toMatchObject({ code: "CONNECTION_REFUSED", message: "port: nothing listens at db.example:4242" });
  });

  test.each([
    ["connect", "can't be reached"],
    ["tls", "accepts the connection, but does not answer as TLS does"],
    ["login", "accepts the connection, but does not answer as"],
  ] as const)("a timeout during %s", (during, message) => {
    const error = told(new ConnectTimeout(during, 1_500));
    expect([error.code, error.message]).toEqual(["CONNECTION_TIMEOUT", expect.stringContaining(message)]);
    expect(error.message).toContain("(waited 1.5 s)");
  });

  test("a connection that broke after an answer", () => {
    expect(told(new ConnectionLost(true, native("ECONNRESET"))).code).toBe("CONNECTION_LOST");
    expect(told(new ConnectionLost(true)).code).toBe("CONNECTION_LOST");
  });

  test("a file that is not there is none of the network's", () => {
    const error = explained(Object.assign(new Error("no such file"), { code: "ENOENT", syscall: "open" }));
    expect(asHeadwatersError(error).remedy).toBe("report");
  });
});
