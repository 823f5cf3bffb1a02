import { once } from "node:events";
import { type AddressInfo, createServer as createPlain, type Socket } from "node:net";
import { createServer as createEncrypted, type TLSSocket, TLSSocket as Encrypted, createSecureContext } from "node:tls";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { asHeadwatersError, type HeadwatersError } from "../../src/protocol/errors.ts";
import { sources } from "../../src/sources/index.ts";
import { makeCertificate } from "../servers/certificate.ts";

const authority = makeCertificate({ commonName: "Test authority" });
const own = makeCertificate({ commonName: "server", hosts: ["localhost", "127.0.0.1"], authority });
const wanted = { cert: own.certificate, key: own.key, ca: authority.certificate, requestCert: true };
const folder = await mkdtemp(join(tmpdir(), "headwaters-certificates-"));
const authorityFile = join(folder, "authority.pem");
await writeFile(authorityFile, authority.certificate);
afterAll(() => rm(folder, { recursive: true, force: true }));
const log = { debug() {}, info() {}, warn() {} };

const login = { user: "u", password: "p", database: "d", connect_timeout: 5 };
const account = { username: "u", password: "p", database: "d", connect_timeout: 5 };
const cql = { keyspace: "k", connect_timeout: 5 };

/** Each source with TLS, and the setting that its error names. */
const kinds: Readonly<Record<string, { readonly encrypted: object; readonly plain: object; readonly names: RegExp }>> =
  {
    redis: { encrypted: { ssl: true, ssl_verify: false }, plain: { ssl: false }, names: /^ssl_cert: / },
    postgresql: {
      ...{ encrypted: { ...login, sslmode: "require" }, plain: { ...login, sslmode: "disable" } },
      names: /^sslcert: /,
    },
    rethinkdb: {
      encrypted: { ...account, use_ssl: true, ssl_ca: authorityFile },
      plain: account,
      names: /^use_ssl: /,
    },
    cassandra: {
      encrypted: { ...cql, tls: true, ca_file: authorityFile },
      plain: { ...cql, tls: false },
      names: /^cert_file: /,
    },
  };

/** What a source fails with at this port. */
async function failure(name: string, port: number, settings: object): Promise<HeadwatersError> {
  const definition = await sources[name]!.load();
  const signal = AbortSignal.timeout(60_000);
  const where = name === "cassandra" ? { hostname: "127.0.0.1" } : { host: "127.0.0.1" };
  const configuration = definition.configuration.parse({ ...where, port, ...settings });
  return (async () => {
    await using source = await definition.open(configuration, { log, tables: {}, types: "exact", signal });
    return await source.discover(signal);
  })().then(
    () => expect.fail("it did not fail"),
    (thrown: unknown) => asHeadwatersError(thrown),
  );
}

/** A server that takes no client without a certificate of the authority. PostgreSQL's is asked for TLS first. */
async function startStrict(name: string, maxVersion: "TLSv1.2" | "TLSv1.3") {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {}).resume();
  };
  const server =
    name === "postgresql"
      ? createPlain((socket) => {
          keep(socket);
          socket.once("data", () => {
            socket.pause().write("S");
            const secureContext = createSecureContext({ ...wanted, maxVersion });
            keep(new Encrypted(socket, { ...wanted, secureContext, isServer: true, rejectUnauthorized: true }));
          });
        })
      : createEncrypted({ ...wanted, maxVersion, rejectUnauthorized: true }, (socket: TLSSocket) => keep(socket));
  server.on("tlsClientError", () => {});
  server.on("connection", keep);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const long = { timeout: 60_000 };

test.each(
  Object.keys(kinds).flatMap((name) => (["TLSv1.2", "TLSv1.3"] as const).map((version) => [name, version] as const)),
)("%s: a server that wants a client certificate is said to, by %s (case 54)", long, async (name, version) => {
  await using strict = await startStrict(name, version);
  const { encrypted, names } = kinds[name]!;
  const error = await failure(name, strict.port, encrypted);
  expect([error.code, error.message]).toEqual(["TLS_MISMATCH", expect.stringMatching(names)]);
  expect(error.message).toContain("requires a client certificate that it trusts");
});

test.each(Object.keys(kinds).filter((name) => name !== "postgresql"))(
  "%s without TLS at a port with it is told so (case 54)",
  long,
  async (name) => {
    await using strict = await startStrict(name, "TLSv1.3");
    const error = await failure(name, strict.port, kinds[name]!.plain);
    // A node of Cassandra drops such a connection without a word.
    expect(["TLS_MISMATCH", "PROTOCOL_MISMATCH"]).toContain(error.code);
    expect(`${error.message} ${error.hint}`).toMatch(/requires TLS/);
  },
);

test.each([
  ["redis", { ssl: true, ssl_key: own.key }],
  ["redis", { ssl: true, ssl_ca: authority.certificate }],
  ["rethinkdb", { ...account, use_ssl: true, ssl_ca: authority.certificate }],
  ["cassandra", { ...cql, tls: true, key_file: own.key }],
])("%s: the text of a key in place of its file is not shown (case 24)", async (name, settings) => {
  const error = await failure(name, 1, settings);
  expect([error.code, error.message]).toEqual([
    "CONFIGURATION_INVALID",
    expect.stringContaining("not the file's name"),
  ]);
  expect(JSON.stringify([error.message, error.hint])).not.toContain("BEGIN");
});
