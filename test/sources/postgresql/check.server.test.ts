import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeadwatersError } from "../../../src/protocol/errors.ts";
import type { CheckResult } from "../../../src/protocol/source.ts";
import { describeWith } from "../../servers/require.ts";
import { makeCertificate } from "../../servers/certificate.ts";
import { startOwnPostgresql, startPostgresql, type OwnPostgresql } from "../../servers/postgresql.ts";
import { expectAway } from "../away.ts";
import { collect, fast, never, openSource, passOf, rowsOfPass, sql, tableOf } from "./harness.ts";

type More = Readonly<Record<string, unknown>>;

await describeWith(startPostgresql, "check of YugabyteDB", (server) => {
  async function check(more: More = {}): Promise<CheckResult[]> {
    await using source = await openSource(server, more);
    return collect(source.check(never));
  }

  /** The step that failed, which ends the check, and the error that discover throws of the same. */
  async function failure(more: More): Promise<{ readonly step: CheckResult; readonly error: HeadwatersError }> {
    const steps = await check(more);
    await using source = await openSource(server, more);
    const error = await source.discover(never).catch((thrown: unknown) => thrown);
    if (!(error instanceof HeadwatersError)) throw new Error(`no error: ${String(error)}`);
    return { step: steps.at(-1)!, error };
  }

  /** Listens and answers as `answer` does. */
  async function listen(answer: (socket: Socket) => void): Promise<{ readonly port: number; readonly server: Server }> {
    const listening = createServer((socket) => {
      socket.on("error", () => {});
      answer(socket);
    });
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
    return { port: (listening.address() as AddressInfo).port, server: listening };
  }

  beforeAll(async () => {
    await sql(server, "CREATE TABLE one (id int PRIMARY KEY, updated_at timestamptz)");
  });

  test("all is well", async () => {
    const steps = await check();
    expect(steps.map(({ name, status }) => [name, status])).toEqual([
      ["connect", "ok"],
      ["tls", "warning"],
      ["login", "ok"],
      ["database", "ok"],
      ["schema", "ok"],
      ["tables", "ok"],
      ["privileges", "ok"],
      // The tests log in as a superuser (case 23).
      ["rights", "warning"],
      ["transactions", "ok"],
      ["cost", "ok"],
    ]);
    expect(steps[1]!.message).toContain("not encrypted");
  });

  describe("what is wrong is named, with what to do", () => {
    test.each<readonly [what: string, More, step: string, code: string, message: string]>([
      ["host", { host: "no-such-host.invalid" }, "connect", "HOST_UNKNOWN", 'host: the name "no-such-host.invalid"'],
      ["port", { port: "1" }, "connect", "CONNECTION_REFUSED", "port: nothing listens at"],
      ["password", { password: "wrong-secret" }, "login", "LOGIN_FAILED", "password: the server refuses"],
      ["no password", { password: "" }, "login", "LOGIN_FAILED", "password"],
      ["user", { user: "nobody_here" }, "login", "LOGIN_FAILED", 'user "nobody_here"'],
      [
        "database",
        { database: "nowhere" },
        "database",
        "DATABASE_UNKNOWN",
        'database: the server has no database "nowhere"',
      ],
      ["schema", { schema: "publik" }, "schema", "SCHEMA_UNKNOWN", 'has no schema "publik"'],
      ["sslmode", { sslmode: "require" }, "tls", "TLS_MISMATCH", 'sslmode: "require" requires TLS'],
      ["sslrootcert", { sslmode: "verify-full" }, "tls", "CONFIGURATION_INVALID", "sslrootcert"],
      [
        "sslrootcert's file",
        { sslmode: "verify-ca", sslrootcert: "/no/such/file.pem" },
        "tls",
        "CONFIGURATION_INVALID",
        "sslrootcert: the file can't be read",
      ],
    ])("%s", async (_what, more, step, code, message) => {
      const { step: failed, error } = await failure(more);
      expect(failed).toMatchObject({ name: step, status: "failed" });
      expect(error.code).toBe(code);
      expect(error.message).toContain(message);
      expect(error.hint).toBeTruthy();
      expect(failed.message).toContain(error.message);
      expect(JSON.stringify([error.message, error.hint, failed])).not.toContain("wrong-secret");
    });

    test("a misspelt schema has its nearest name", async () => {
      const { error } = await failure({ schema: "publik" });
      expect(error.hint).toBe('Did you mean "public"?');
    });

    test("an HTTP server", async () => {
      const { port, server: http } = await listen((socket) => {
        socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
      });
      for (const sslmode of ["disable", "prefer", "require"]) {
        const { error } = await failure({ port: String(port), sslmode });
        expect(error.code).toBe("PROTOCOL_MISMATCH");
        expect(error.message).toBe(`port: an HTTP server answers at 127.0.0.1:${port}`);
      }
      http.close();
    });

    test("a server that is away, once it was there", async () => {
      await expectAway(server, (port) => openSource(server, { port: String(port) }));
    });

    test("a server that never answers", async () => {
      const sockets: Socket[] = [];
      const { port, server: mute } = await listen((socket) => void sockets.push(socket));
      const { error } = await failure({ port: String(port), connect_timeout: "1" });
      expect(error.code).toBe("CONNECTION_TIMEOUT");
      expect(error.message).toContain("accepts the connection, but does not answer as PostgreSQL does (waited 1 s)");
      for (const socket of sockets) socket.destroy();
      mute.close();
    });

    test("a server that hangs up", async () => {
      const { port, server: curt } = await listen((socket) => void socket.once("data", () => socket.destroy()));
      const { error } = await failure({ port: String(port), sslmode: "disable" });
      expect(error.code).toBe("CONNECTION_LOST");
      curt.close();
    });

    test("waiting for a connection ends with the signal", async () => {
      const sockets: Socket[] = [];
      const { port, server: mute } = await listen((socket) => void sockets.push(socket));
      await using source = await openSource(server, { port: String(port) });
      const stop = new AbortController();
      const waiting = source.discover(stop.signal);
      setTimeout(() => stop.abort(new Error("stop")), 100);
      await expect(waiting).rejects.toThrow("stop");
      for (const socket of sockets) socket.destroy();
      mute.close();
    });
  });

  describe("privileges", () => {
    const role = `reader_${process.pid}`;
    const as = { user: role, password: "x" };

    beforeAll(async () => {
      await sql(
        server,
        `CREATE ROLE ${role} LOGIN PASSWORD 'x';
         CREATE TABLE "may read" (id int PRIMARY KEY, v text, updated_at timestamptz); GRANT SELECT ON "may read" TO ${role};
         CREATE TABLE hidden (id int PRIMARY KEY, v text);
         CREATE TABLE partly (id int PRIMARY KEY, v text, secret text); GRANT SELECT (id, v) ON partly TO ${role};
         CREATE TABLE guarded (id int PRIMARY KEY); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         CREATE POLICY odd ON guarded USING (id % 2 = 1); GRANT SELECT ON guarded TO ${role}; INSERT INTO guarded VALUES (1), (2);
         CREATE SCHEMA closed; CREATE TABLE closed.t (id int PRIMARY KEY)`,
      );
    });

    afterAll(async () => {
      await sql(server, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });

    test("a closed schema", async () => {
      const { step, error } = await failure({ ...as, schema: "closed" });
      expect(step.name).toBe("schema");
      expect(error).toMatchObject({ code: "PRIVILEGE_MISSING", hint: `GRANT USAGE ON SCHEMA "closed" TO "${role}";` });
    });

    test("check names every table and the GRANT", async () => {
      const privileges = (await check(as)).find((step) => step.name === "privileges")!;
      expect(privileges.status).toBe("warning");
      expect(privileges.message).toContain(`GRANT SELECT ON "public"."hidden" TO "${role}";`);
      expect(privileges.message).toContain('may not read "secret" of table "partly"');
      expect(privileges.message).toContain('Row-level security would hide rows of "guarded"');
      expect(privileges.message).not.toContain("may read");
      expect((await check(as)).find((step) => step.name === "transactions")).toMatchObject({ status: "warning" });
      expect((await check(as)).find((step) => step.name === "rights")).toBeUndefined();
      await sql(server, `GRANT UPDATE ON "may read" TO ${role}`);
      expect((await check(as)).find((step) => step.name === "rights")).toMatchObject({
        status: "warning",
        message: expect.stringContaining('may write "may read"'),
      });
      await sql(server, `REVOKE UPDATE ON "may read" FROM ${role}`);
    });

    test("tables that can't be read are shown, and fail when they are planned; the others work", async () => {
      await using source = await openSource(server, as);
      const table = await tableOf(source, "hidden");
      expect(table.notes.join(" ")).toContain(`GRANT SELECT ON "public"."hidden" TO "${role}";`);
      const planned = source.plan([table], "full", {}, never);
      await expect(planned).rejects.toMatchObject({
        code: "PRIVILEGE_MISSING",
        message: `table "hidden": user "${role}" may not read the table`,
        hint: `GRANT SELECT ON "public"."hidden" TO "${role}";`,
      });
      const partly = await tableOf(source, "partly");
      await expect(source.plan([partly], "full", {}, never)).rejects.toThrow('may not read column "secret"');
      // The columns that are selected count.
      const columns = partly.columns.filter((column) => column.name !== "secret");
      expect(await rowsOfPass(source, await passOf(source, { ...partly, columns }))).toEqual([]);
      expect(await rowsOfPass(source, await passOf(source, await tableOf(source, "may read")))).toEqual([]);
    });

    test("rows that a policy would hide are an error, not missing", async () => {
      await using source = await openSource(server, as);
      const table = await tableOf(source, "guarded");
      expect(table.notes.join(" ")).toContain("Row-level security");
      const reading = passOf(source, table).then((pass) => rowsOfPass(source, pass));
      await expect(reading).rejects.toMatchObject({ code: "PRIVILEGE_MISSING" });
      await expect(reading).rejects.toThrow("row-level security would hide rows");
    });

    test("a privilege that is lost between plan and read", async () => {
      await using source = await openSource(server, as);
      const pass = await passOf(source, await tableOf(source, "may read"));
      await sql(server, `REVOKE SELECT ON "may read" FROM ${role}`);
      await expect(rowsOfPass(source, pass)).rejects.toMatchObject({
        code: "PRIVILEGE_MISSING",
        hint: `GRANT SELECT ON "public"."may read" TO "${role}";`,
      });
      await sql(server, `GRANT SELECT ON "may read" TO ${role}`);
    });
  });

  test("discover says what a user should know of each table", async () => {
    await using other = await server.createDatabase();
    await sql(
      other,
      `CREATE TABLE keyless (v text, updated_at timestamptz); CREATE TABLE by_index (a int NOT NULL, b int, UNIQUE (a));
       CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (n int) INHERITS (parent);
       CREATE TABLE loose (id int PRIMARY KEY, n numeric, w numeric(50,2)); CREATE VIEW seen AS SELECT 1 AS one;
       CREATE TABLE nullable (a int, UNIQUE (a)); CREATE TABLE partial (a int NOT NULL); CREATE UNIQUE INDEX ON partial (a) WHERE a > 0;
       CREATE TABLE computed (id int PRIMARY KEY, doubled int GENERATED ALWAYS AS (id * 2) STORED);
       INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 2); INSERT INTO computed VALUES (4)`,
    );
    await using source = await openSource(other);
    const tables = new Map((await source.discover(never)).map((table) => [table.id, table]));
    expect([...tables.keys()]).toEqual([
      "by_index",
      "child",
      "computed",
      "keyless",
      "loose",
      "nullable",
      "parent",
      "partial",
    ]);
    expect(tables.get("keyless")).toMatchObject({ key: [], cursor: null, version: null });
    expect(tables.get("keyless")!.notes).toEqual([
      "It has no primary key, so it is read whole at each sync.",
      "Without a key its cursor column updated_at is of no use.",
    ]);
    expect(tables.get("by_index")!.key).toEqual(["a"]);
    expect(tables.get("by_index")!.notes[0]).toContain("the unique index on a identifies its rows");
    expect(tables.get("nullable")!.key).toEqual([]);
    expect(tables.get("partial")!.key).toEqual([]);
    expect(tables.get("loose")!.notes.join(" ")).toContain("set its type to DECIMAL(p,s)");
    expect(tables.get("parent")!.notes.join(" ")).toContain("Other tables inherit from it");
    // What inherits is a table of its own, and not read twice.
    expect(await rowsOfPass(source, await passOf(source, tables.get("parent")!))).toEqual([[1]]);
    expect(await rowsOfPass(source, await passOf(source, tables.get("computed")!))).toEqual([[4, 8]]);
  });

  test("a schema without tables", async () => {
    await sql(server, "CREATE SCHEMA IF NOT EXISTS bare");
    await using source = await openSource(server, { schema: "bare" });
    expect(await source.discover(never)).toEqual([]);
    expect((await collect(source.check(never))).at(-1)).toMatchObject({ name: "tables", status: "failed" });
  });

  test("a session that the server ends is replaced", async () => {
    await using source = await openSource(server);
    const table = await tableOf(source, "one");
    await sql(
      server,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headwaters' AND datname = current_database()",
    );
    await expect.poll(() => passOf(source, table).then((pass) => rowsOfPass(source, pass, fast))).toEqual([]);
  });
});

const authority = makeCertificate({ commonName: "Test authority" });
const stranger = makeCertificate({ commonName: "Another authority" });
const { certificate, key } = makeCertificate({ commonName: "localhost", hosts: ["localhost"], authority });
const hba = `
hostssl all by_tls 127.0.0.1/32 scram-sha-256
hostnossl all in_clear 127.0.0.1/32 scram-sha-256
host all postgres 127.0.0.1/32 scram-sha-256
`;

async function startWithTls(): Promise<OwnPostgresql> {
  return startOwnPostgresql({
    settings: { ssl: "on", ssl_cert_file: "server.crt", ssl_key_file: "server.key" },
    files: { "server.crt": certificate, "server.key": key, "pg_hba.conf": hba },
  });
}

await describeWith(startWithTls, "sslmode of YugabyteDB", (server) => {
  beforeAll(async () => {
    await sql(server, "CREATE ROLE by_tls LOGIN PASSWORD 'x'; CREATE ROLE in_clear LOGIN PASSWORD 'x'");
    await sql(
      server,
      "CREATE TABLE one (id int PRIMARY KEY, v text); INSERT INTO one SELECT i, i FROM generate_series(1, 5000) i",
    );
  });

  /** How the connection ended up: encrypted, verified, or the error's code. */
  async function outcome(more: More): Promise<string> {
    await using source = await openSource(server, more);
    const tls = (await collect(source.check(never))).find((step) => step.name === "tls");
    try {
      await source.discover(never);
    } catch (thrown) {
      return thrown instanceof HeadwatersError ? thrown.code : String(thrown);
    }
    if (tls!.message.includes("not encrypted")) return "clear";
    return tls!.status === "ok" ? "verified" : "encrypted";
  }

  const trusted = { sslrootcert: authority.certificate };
  const untrusted = { sslrootcert: stranger.certificate };
  const named = { host: "localhost" };

  test.each<readonly [More, string]>([
    [{ sslmode: "disable" }, "clear"],
    [{ sslmode: "allow" }, "clear"],
    [{ sslmode: "prefer" }, "encrypted"],
    [{ sslmode: "require" }, "encrypted"],
    [{ sslmode: "require", ...trusted }, "verified"],
    [{ sslmode: "require", ...untrusted }, "TLS_UNVERIFIED"],
    [{ sslmode: "prefer", ...untrusted }, "clear"],
    [{ sslmode: "verify-ca", ...trusted }, "verified"],
    [{ sslmode: "verify-ca", ...untrusted }, "TLS_UNVERIFIED"],
    [{ sslmode: "verify-full", ...trusted }, "TLS_UNVERIFIED"],
    [{ sslmode: "verify-full", ...trusted, ...named }, "verified"],
    [{ sslmode: "verify-full", ...untrusted, ...named }, "TLS_UNVERIFIED"],
    [{ sslmode: "verify-full", sslrootcert: "system", ...named }, "TLS_UNVERIFIED"],
    [{ sslmode: "verify-ca", sslrootcert: "system" }, "CONFIGURATION_INVALID"],
    [{ sslmode: "disable", user: "by_tls", password: "x" }, "TLS_MISMATCH"],
    [{ sslmode: "allow", user: "by_tls", password: "x" }, "encrypted"],
    [{ sslmode: "prefer", user: "in_clear", password: "x" }, "clear"],
    [{ sslmode: "require", user: "in_clear", password: "x" }, "LOGIN_FAILED"],
    [{ sslmode: "prefer", password: "wrong" }, "LOGIN_FAILED"],
  ])("%o ends %s", async (more, expected) => {
    expect(await outcome(more)).toBe(expected);
  });

  test("COPY over TLS, several on one connection", async () => {
    await using source = await openSource(server, { sslmode: "require" });
    const table = await tableOf(source, "one");
    for (let round = 0; round < 3; round++) {
      expect(await rowsOfPass(source, await passOf(source, table))).toHaveLength(5_000);
    }
    const stop = new AbortController();
    const pass = await passOf(source, table);
    const reading = source.read(pass, pass.splits[0]!, null, { ...fast, signal: stop.signal })[Symbol.asyncIterator]();
    await reading.next();
    stop.abort(new Error("stop"));
    await expect(
      (async () => {
        while ((await reading.next()).done !== true);
      })(),
    ).rejects.toThrow("stop");
  });

  test("a server that stops while it is read, and is read again when it is back", async () => {
    await using source = await openSource(server);
    const table = await tableOf(source, "one");
    const pass = await passOf(source, table);
    const reading = source.read(pass, pass.splits[0]!, null, { ...fast, batchBytes: 1 << 10 })[Symbol.asyncIterator]();
    await reading.next();
    await server.stop("immediate");
    const broken = (async () => {
      while ((await reading.next()).done !== true);
    })().catch((thrown: unknown) => thrown);
    const again = await source.plan([table], "full", {}, never).catch((thrown: unknown) => thrown);
    expect(["CONNECTION_REFUSED", "CONNECTION_LOST", "SERVER_UNAVAILABLE"]).toContain((again as HeadwatersError).code);
    const error = await broken;
    if (error !== undefined)
      expect(["CONNECTION_LOST", "SERVER_UNAVAILABLE"]).toContain((error as HeadwatersError).code);
    await server.start();
    expect(await rowsOfPass(source, await passOf(source, table))).toHaveLength(5_000);
  });
});
