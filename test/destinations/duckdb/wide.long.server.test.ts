import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { built } from "../../built.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";

const long = { timeout: 240_000 };

/** The most memory that a process may hold with rows of 40 KiB; measured: 690. */
const mostMiB = 800;

interface Ended {
  readonly code: number | null;
  readonly output: string;
  /** The most resident memory of the process, in MiB. */
  readonly peak: number;
}

/** A folder in which processes copy the database into a DuckDB file. */
class Place implements AsyncDisposable {
  readonly folder: string;
  readonly #server: PostgresqlServer;

  private constructor(folder: string, server: PostgresqlServer) {
    this.folder = folder;
    this.#server = server;
  }

  static async make(server: PostgresqlServer): Promise<Place> {
    const place = new Place(await mkdtemp(join(tmpdir(), "headwaters-wide-")), server);
    await place.configure({});
    return place;
  }

  async configure(destination: object): Promise<void> {
    const { host, port, database, user, password } = this.#server;
    const source = { type: "postgresql", host, port, database, user, password };
    const connection = { source, destination: { type: "duckdb", path: "copy.duckdb", ...destination }, schema: "s" };
    await writeFile(join(this.folder, "headwaters.yaml"), JSON.stringify({ connections: { c: connection } }));
  }

  async run(...flags: readonly string[]): Promise<Ended> {
    const child = spawn(process.execPath, [built("cli/main.js"), ...flags], { cwd: this.folder });
    let output = "";
    let peak = 0;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += String(chunk)));
    const poll = setInterval(() => {
      readFile(`/proc/${child.pid}/status`, "utf8").then(
        (status) => (peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? peak * 1_024) / 1_024),
        () => {},
      );
    }, 20);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    clearInterval(poll);
    return { code, output, peak };
  }

  async tamper(sql: string): Promise<void> {
    const instance = await DuckDBInstance.create(join(this.folder, "copy.duckdb"));
    const connection = await instance.connect();
    await connection.run(sql);
    connection.closeSync();
    instance.closeSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Makes a table `wide` with so many rows of so many KiB, and a small one beside it. */
async function fill(server: PostgresqlServer, rows: number, kib: number): Promise<void> {
  await runSql(
    server.connectionString,
    `DROP TABLE IF EXISTS wide, small;
     CREATE TABLE small AS SELECT 1 AS id; ALTER TABLE small ADD PRIMARY KEY (id);
     CREATE TABLE wide (id int PRIMARY KEY, body text, updated_at timestamptz DEFAULT now() - interval '1 day');
     ALTER TABLE wide ALTER body SET STORAGE external;
     INSERT INTO wide SELECT i, (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, ${kib * 32}) n)
       FROM generate_series(1, ${rows}) i`,
  );
}

const changeAll = "UPDATE wide SET body = reverse(body), updated_at = now()";

await describeWith(startPostgresql, "long values in a DuckDB file, with the default memory_limit", (server) => {
  /** Resolves to the most memory of each pass, in MiB. */
  async function copyChangeAndProve(place: Place): Promise<Readonly<Record<string, number>>> {
    const peaks: Record<string, number> = {};
    const passes = async (...flags: readonly string[]): Promise<void> => {
      const { code, output, peak } = await place.run(...flags);
      expect([code, code === 0 ? "" : output]).toEqual([0, ""]);
      peaks[`${flags.join(" ")} ${Object.keys(peaks).length}`] = peak;
    };
    await passes("sync");
    await runSql(server.connectionString, changeAll);
    await passes("sync");
    await runSql(server.connectionString, "DELETE FROM wide WHERE id = 5");
    await passes("sync", "--sweep");
    await passes("sync", "--full");
    await passes("verify");
    await place.tamper("UPDATE copy.s.wide SET body = 'x' WHERE id = 7");
    const tampered = await place.run("verify");
    expect(tampered.code).toBe(5);
    expect(tampered.output).toMatch(/different id="7": body is/);
    return { ...peaks, verify: tampered.peak };
  }

  test("2,500 rows of 40 KiB are copied, changed and proven (case 16)", long, async () => {
    await using place = await Place.make(server);
    await fill(server, 2_500, 40);
    const peaks = await copyChangeAndProve(place);
    for (const [what, peak] of Object.entries(peaks)) expect(peak, what).toBeLessThanOrEqual(mostMiB);
  });

  test("30 rows of 5 MB are copied, changed and proven (case 16)", long, async () => {
    await using place = await Place.make(server);
    await fill(server, 30, 5_000);
    await copyChangeAndProve(place);
  });

  test(
    "rows that are too long fail their table alone, and the error names a memory_limit that is enough (case 16)",
    long,
    async () => {
      await using place = await Place.make(server);
      await fill(server, 2_500, 200);
      const refused = await place.run("sync");
      expect(refused.code).toBe(2);
      expect(refused.output).toMatch(/1 of 2 tables whole/);
      expect(refused.output).toMatch(/memory_limit: 192MB is not enough for rows that take 2\d\d KB each/);
      // The file can still be written and read.
      expect((await place.run("sync", "--tables", "small")).code).toBe(0);
      const [, enough] = /Set memory_limit to (\d+MB)/.exec(refused.output)!;
      await place.configure({ memory_limit: enough });
      const passed = await place.run("sync");
      expect([passed.code, passed.code === 0 ? "" : passed.output]).toEqual([0, ""]);
    },
  );
});
