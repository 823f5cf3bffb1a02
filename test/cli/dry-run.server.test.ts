import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { type CliRun, runCli } from "./run-cli.ts";

await describeWith(startPostgresql, "sync --dry-run", (server) => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-dry-run-"));
    await runSql(
      server.connectionString,
      `DROP TABLE IF EXISTS devices, plain;
       CREATE TABLE devices (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
       CREATE TABLE plain (id int PRIMARY KEY);
       INSERT INTO devices SELECT generate_series(1, 5000); INSERT INTO plain VALUES (1); ANALYZE`,
    );
    return () => rm(folder, { recursive: true });
  });

  async function write(filter: string): Promise<void> {
    const { host, port, database, user, password } = server;
    const source = { type: "postgresql", host, port, database, user, password };
    const overrides = { devices: { filter } };
    const connection = { source, destination: "duckdb:w.duckdb", deletes: "never", overrides };
    await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections: { c: connection } }));
  }

  function sync(...flags: readonly string[]): Promise<CliRun> {
    return runCli(["sync", ...flags], { folder });
  }

  async function previews(...flags: readonly string[]): Promise<Record<string, unknown>> {
    const { out } = await sync("--dry-run", "--json", ...flags);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { table: string });
    return Object.fromEntries(lines.map((line) => [line.table, line]));
  }

  /** What is in the folder, by its content. */
  async function files(): Promise<Record<string, string>> {
    const found: [string, string][] = [];
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile())
        found.push([
          path,
          createHash("sha256")
            .update(await readFile(path))
            .digest("hex"),
        ]);
    }
    return Object.fromEntries(found);
  }

  test("says what would be read and why, before the first sync and after it, and writes nothing", async () => {
    await write("id > 0");
    const before = await files();
    const first = await sync("--dry-run");
    expect(first.code).toBe(0);
    expect(first.out).toContain("c: a sync would read 2 tables; nothing was written\n");
    expect(first.out).toMatch(/devices +all rows +\? +it was not copied yet\nplain +all rows +~1 +it/);
    expect(await files()).toEqual(before);
    expect((await sync()).code).toBe(0);
    const synced = await files();
    expect(await previews()).toMatchObject({
      devices: { passes: ["window"], why: "updated_at shows what changed", error: null },
      plain: { passes: ["full"], why: "nothing shows what changed", estimatedRows: 1 },
    });
    expect(await previews("--full", "--tables", "devices")).toEqual({
      devices: expect.objectContaining({ passes: ["full"], why: "a full read was requested" }),
    });
    expect(await previews("--sweep")).toMatchObject({ devices: { passes: ["window", "keys"] } });
    expect(await files()).toEqual(synced);
    // The plan is what the sync does.
    const { out } = await sync("--json", "--sweep");
    const { run } = JSON.parse(out.trim().split("\n").at(-1)!) as {
      run: { tables: { table: string; passes: string[] }[] };
    };
    expect(run.tables.find(({ table }) => table === "devices")!.passes).toEqual(["window", "keys"]);
  });

  test("shows which table would fail, with the exit code of the sync", async () => {
    await write("id > 0");
    await sync();
    await write("id > 10");
    const { code, out, error } = await sync("--dry-run");
    expect(code).toBe((await sync()).code);
    expect(code).toBe(4);
    expect(out).toMatch(/devices +nothing +it fails: SCOPE_CHANGED/);
    expect(error).toContain("--accept-scope");
  });
});
