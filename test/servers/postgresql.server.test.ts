import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import process from "node:process";
import { Client } from "pg";
import { describe, expect, test, vi } from "vitest";
import { makeCertificate } from "./certificate.ts";
import { runSql, startOwnPostgresql, startPostgresql } from "./postgresql.ts";
import { describeWith } from "./require.ts";

await describeWith(startPostgresql, "the shared server", (server) => {
  test("gives each file a database of its own", async () => {
    const rows = await runSql(server.connectionString, "SELECT current_database() AS name, current_user AS who");
    expect(rows).toEqual([{ name: server.database, who: server.user }]);
    expect(server.version).toMatch(/^\d+\.\d+/);
  });

  test("makes more databases, and drops them", async () => {
    const other = await server.createDatabase('a "strange" name ä');
    expect(await runSql(other.connectionString, "SELECT current_database() AS name")).toEqual([
      { name: other.database },
    ]);
    await other[Symbol.asyncDispose]();
    await expect(runSql(other.connectionString, "SELECT 1")).rejects.toMatchObject({ code: "3D000" });
  });

  test("wants the password", async () => {
    const wrong = server.connectionString.replace(server.password, "wrong");
    await expect(runSql(wrong, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  });
});

await describeWith(startOwnPostgresql, "a server of its own", (server) => {
  test("keeps its data over a stop in good order and over a crash", async () => {
    await runSql(server.connectionString, "CREATE TABLE kept AS SELECT 1 AS one");
    for (const how of ["fast", "immediate"] as const) {
      const pid = await server.pid();
      await server.stop(how);
      expect(isAlive(pid)).toBe(false);
      await expect(runSql(server.connectionString, "SELECT 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
      await server.start();
      expect(await runSql(server.connectionString, "SELECT * FROM kept")).toEqual([{ one: 1 }]);
    }
  });
});

describe("a server with other settings", () => {
  test("speaks TLS with a certificate that verifies", async () => {
    const authority = makeCertificate({ commonName: "Test authority" });
    const certificate = makeCertificate({ commonName: "server", hosts: ["localhost", "127.0.0.1"], authority });
    await using server = await startOwnPostgresql({
      settings: { ssl: "on" },
      files: { "server.crt": certificate.certificate, "server.key": certificate.key },
    });
    const encrypted = new Client({
      connectionString: server.connectionString,
      ssl: { ca: authority.certificate },
    });
    await encrypted.connect();
    const { rows } = await encrypted.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    await encrypted.end();
    expect(rows).toEqual([{ ssl: true }]);

    const stranger = makeCertificate({ commonName: "Another authority" });
    const refused = new Client({ connectionString: server.connectionString, ssl: { ca: stranger.certificate } });
    await expect(refused.connect()).rejects.toThrow(/unable to verify/);
  });
});

describe("a server whose owner is killed", () => {
  test("ends, and leaves nothing behind", async () => {
    const owner = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", ownerProgram()], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(owner.stdout, "data")) as [Buffer];
    const { pid, folder } = JSON.parse(line.toString()) as { pid: number; folder: string };
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(folder)).toBe(true);
    owner.kill("SIGKILL");
    await vi.waitFor(() => expect([isAlive(pid), existsSync(folder)]).toEqual([false, false]), { timeout: 10_000 });
  });
});

const ownerProgram = () => `
import { launchPostgresql } from ${JSON.stringify(new URL("../../src/servers/postgresql.ts", import.meta.url))};
const server = await launchPostgresql();
console.log(JSON.stringify({ pid: await server.pid(), folder: server.folder }));
`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
