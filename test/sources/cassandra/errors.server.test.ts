import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asHeadwatersError } from "../../../src/protocol/errors.ts";
import type { CheckResult } from "../../../src/protocol/source.ts";
import { type CassandraServer, startCassandra, startOwnCassandra } from "../../servers/cassandra.ts";
import { type Certificate, makeCertificate } from "../../servers/certificate.ts";
import { describeWith } from "../../servers/require.ts";
import { startTlsFront } from "../../servers/tls-front.ts";
import { expectAway } from "../away.ts";
import { openCassandra, passOver, reading, rowsOfPass, tableNamed } from "./harness.ts";

/** What `discover` fails with, and that `check` says the same. */
async function failure(server: CassandraServer, settings: Record<string, unknown>): Promise<string> {
  await using source = await openCassandra(server, settings);
  const error = await source.discover(reading.signal).then(
    () => null,
    (thrown: unknown) => asHeadwatersError(thrown),
  );
  const checks: CheckResult[] = [];
  for await (const check of source.check(reading.signal)) checks.push(check);
  expect(checks.find((check) => check.status === "failed")?.message).toContain(error?.message ?? "?");
  return `${error?.code}: ${error?.message} | ${error?.hint}`;
}

await describeWith(startCassandra, "errors without a login", (server: CassandraServer) => {
  let web: Server;
  beforeAll(async () => {
    web = createServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => void web.close());

  test("a host that is no name", async () => {
    expect(await failure(server, { hostname: "no-such-host.invalid" })).toMatch(
      /^HOST_UNKNOWN: hostname: the name "no-such-host.invalid"/,
    );
  });

  test("a port where nothing listens", async () => {
    expect(await failure(server, { port: 1 })).toMatch(/^CONNECTION_REFUSED: port: nothing listens at 127.0.0.1:1/);
  });

  test("a port where nothing listens any more: the cluster is away", async () => {
    await expectAway(server, (port) => openCassandra(server, { port }));
  });

  test("something else at the port", async () => {
    const { port } = web.address() as AddressInfo;
    expect(await failure(server, { port })).toMatch(/^PROTOCOL_MISMATCH: port: (the server at|127)/);
  });

  test("the second contact point answers where the first does not", async () => {
    await server.run("CREATE TABLE reached (id int PRIMARY KEY)");
    await using source = await openCassandra(server, { hostname: `127.0.0.9, ${server.host}` });
    expect((await tableNamed(source, "reached")).key).toEqual(["id"]);
  });

  test("a host that does not answer hides no error of one that does", async () => {
    expect(await failure(server, { hostname: `127.0.0.9, ${server.host}`, data_center: "eu" })).toMatch(
      /^DATABASE_UNKNOWN: data_center: the cluster has no data centre "eu"/,
    );
  });

  test("a keyspace that is not there, with those that are", async () => {
    const wrong = server.keyspace.toUpperCase();
    expect(await failure(server, { keyspace: wrong })).toMatch(
      new RegExp(
        `^DATABASE_UNKNOWN: keyspace: the cluster has no keyspace "${wrong}" \\| Did you mean "${server.keyspace}"`,
      ),
    );
  });

  test("a data centre that is not there, with those that are", async () => {
    expect(await failure(server, { data_center: "eu" })).toMatch(
      /^DATABASE_UNKNOWN: data_center: the cluster has no data centre "eu" \| It has "/,
    );
  });

  test("TLS where the server has none", async () => {
    expect(await failure(server, { tls: "true", connect_timeout: 5 })).toMatch(/^TLS_MISMATCH: (tls|port): /);
  });
});

const authority = makeCertificate({ commonName: "Headwaters tests" });
const leaf = makeCertificate({ commonName: "node", hosts: ["127.0.0.1"], authority });
const chain = { certificate: `${leaf.certificate}\n${authority.certificate}`, key: leaf.key };

await describeWith(
  () => startOwnCassandra({ passwords: true, tls: chain }),
  "Cassandra with passwords and TLS",
  (server: CassandraServer) => {
    let folder: string;
    let tls: Record<string, unknown>;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "headwaters-"));
      await writeFile(join(folder, "ca.pem"), authority.certificate);
      await writeFile(join(folder, "other.pem"), makeCertificate({ commonName: "Another" }).certificate);
      tls = { tls: true, ca_file: join(folder, "ca.pem") };
      await server.run("CREATE TABLE secret (id int PRIMARY KEY, v text)");
      await server.run("INSERT INTO secret (id, v) VALUES (1, 'x')");
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test("reads by both paths", async () => {
      await using source = await openCassandra(server, { ...tls, changes: "full" });
      const pass = await passOver(source, await tableNamed(source, "secret"));
      for (const path of ["fast", "independent"] as const) {
        expect(await rowsOfPass(source, pass, { ...reading, path })).toEqual([{ id: 1, v: "x" }]);
      }
    });

    test("the independent path verifies certificates too", async () => {
      await using front = await startTlsFront(server, leaf);
      const settings = { ...tls, port: front.port, connections_per_node: 1, changes: "full" };
      await using source = await openCassandra(server, settings);
      const pass = await passOver(source, await tableNamed(source, "secret"));
      const other = makeCertificate({ commonName: "Another" });
      front.show(makeCertificate({ commonName: "node", hosts: ["127.0.0.1"], authority: other }));
      await expect(rowsOfPass(source, pass, { ...reading, path: "independent" })).rejects.toMatchObject({
        code: "TLS_UNVERIFIED",
      });
    });

    test("a certificate that has the name of a contact point serves both paths, another name none", async () => {
      const hosts = (name: string): Certificate => makeCertificate({ commonName: "node", hosts: [name], authority });
      await using front = await startTlsFront(server, hosts("localhost"));
      const settings = { ...tls, hostname: "localhost", port: front.port, connections_per_node: 1, changes: "full" };
      await using source = await openCassandra(server, settings);
      const pass = await passOver(source, await tableNamed(source, "secret"));
      const independent = { ...reading, path: "independent" } as const;
      front.show(hosts("elsewhere"));
      await expect(rowsOfPass(source, pass, independent)).rejects.toMatchObject({ code: "TLS_UNVERIFIED" });
      front.show(hosts("localhost"));
      expect(await rowsOfPass(source, pass, independent)).toEqual([{ id: 1, v: "x" }]);
    });

    test("a client's certificate and key that can't be used are told before a connection is made", async () => {
      const other = makeCertificate({ commonName: "Another" });
      const client = makeCertificate({ commonName: "client", authority });
      await writeFile(join(folder, "client.pem"), client.certificate);
      await writeFile(join(folder, "client.key"), other.key);
      const files = { cert_file: join(folder, "client.pem"), key_file: join(folder, "client.key") };
      const refused = (settings: object, message: string): Promise<void> =>
        expect(openCassandra(server, { ...tls, ...settings })).rejects.toMatchObject({
          code: "CONFIGURATION_INVALID",
          message: expect.stringContaining(message),
        });
      await refused(files, "cert_file, key_file: the files can't be used");
      await refused({ ...files, key_file: "" }, "cert_file: it is set, but key_file is not");
      await refused({ ca_file: join(folder, "client.key") }, "ca_file");
    });

    test("no login, a wrong password, an unknown user", async () => {
      expect(await failure(server, { ...tls, username: "", password: "" })).toMatch(
        /^LOGIN_FAILED: username: .*requires a login/,
      );
      const wrong = await failure(server, { ...tls, password: "wrong" });
      expect(wrong).toMatch(/^LOGIN_FAILED: password: the server refuses user "cassandra"/);
      expect(await failure(server, { ...tls, username: "nobody" })).toMatch(/^LOGIN_FAILED: .*"nobody"/);
    });

    test("plain where the server wants TLS", async () => {
      expect(await failure(server, {})).toMatch(
        /^(TLS_MISMATCH: tls: it is false|PROTOCOL_MISMATCH: port: .*Set tls to true)/,
      );
    });

    test("an authority that did not sign, a file that is not there", async () => {
      expect(await failure(server, { ...tls, ca_file: join(folder, "other.pem") })).toMatch(/^TLS_UNVERIFIED: tls: /);
      expect(await failure(server, { tls: true })).toMatch(/^TLS_UNVERIFIED: tls: .*Set ca_file/);
      await expect(openCassandra(server, { ...tls, ca_file: join(folder, "gone.pem") })).rejects.toMatchObject({
        code: "CONFIGURATION_INVALID",
        message: expect.stringContaining("ca_file: the file can't be read"),
      });
    });

    describe("a user without rights", () => {
      beforeAll(async () => {
        await server.run("CREATE TABLE hidden (id int PRIMARY KEY)");
        await server.run("CREATE TABLE open (id int PRIMARY KEY)");
        await server.run("CREATE ROLE reader WITH PASSWORD = 'reading' AND LOGIN = true");
        await server.run(`GRANT SELECT ON TABLE ${server.keyspace}.open TO reader`);
      });
      const login = { username: "reader", password: "reading" };

      test("check names the table and the statement that helps", async () => {
        await using source = await openCassandra(server, { ...tls, ...login });
        const checks: CheckResult[] = [];
        for await (const check of source.check(reading.signal)) checks.push(check);
        const refused = checks.filter((check) => check.status === "failed").map((check) => check.label);
        expect(refused.sort()).toEqual(["Read table hidden", "Read table secret"]);
        expect(checks.find((check) => check.label === "Read table hidden")!.message).toContain(
          `GRANT SELECT ON "${server.keyspace}"."hidden" TO "reader";`,
        );
      });

      test("check warns of a role that may do more than read (case 23)", async () => {
        const rights = async (as: object): Promise<CheckResult | undefined> => {
          await using source = await openCassandra(server, { ...tls, ...as });
          const checks: CheckResult[] = [];
          for await (const check of source.check(reading.signal)) checks.push(check);
          return checks.find(({ name }) => name === "rights");
        };
        expect(await rights(login)).toBeUndefined();
        expect(await rights({})).toMatchObject({
          status: "warning",
          message: expect.stringContaining("is a superuser"),
        });
        await server.run(`GRANT MODIFY ON TABLE ${server.keyspace}.open TO reader`);
        expect(await rights(login)).toMatchObject({
          status: "warning",
          message: expect.stringContaining("MODIFY on <table "),
        });
      });

      test("reading says so too", async () => {
        await using source = await openCassandra(server, { ...tls, ...login });
        const pass = await passOver(source, await tableNamed(source, "hidden"));
        await expect(rowsOfPass(source, pass)).rejects.toMatchObject({ code: "PRIVILEGE_MISSING" });
        const open = await passOver(source, await tableNamed(source, "open"));
        expect(await rowsOfPass(source, open)).toEqual([]);
      });
    });
  },
);
