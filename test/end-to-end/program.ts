import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { built } from "../built.ts";
import type { PostgresqlServer } from "../servers/postgresql.ts";

/** How a run of the program ended. */
export interface Ended {
  /** `null`: a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with a `configuration.json` for one database, in which the program is run. */
export class Workplace implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(
    server: Pick<PostgresqlServer, "host" | "port" | "user" | "password" | "database">,
  ): Promise<Workplace> {
    const place = new Workplace(await mkdtemp(join(tmpdir(), "headwaters-")));
    const { host, port, user, password, database } = server;
    // As in the published example: every value is text.
    await place.write("configuration.json", {
      host,
      port: String(port),
      user,
      password,
      database,
      schema: "public",
      sslmode: "prefer",
    });
    return place;
  }

  async write(name: string, configuration: unknown): Promise<void> {
    await writeFile(join(this.folder, name), JSON.stringify(configuration), { mode: 0o600 });
  }

  /** `headwaters COMMAND --source yugabytedb --configuration configuration.json --destination KIND:ADDRESS …` */
  async run(command: string, destination: string, more: readonly string[] = []): Promise<Ended> {
    const source = ["--source", "yugabytedb", "--configuration", "configuration.json"];
    return this.start([command, ...source, "--destination", destination, ...more]);
  }

  /** `headwaters …` in this folder; killed after so many milliseconds, unless that is `null`. */
  async start(arguments_: readonly string[], killAfter: number | null = null): Promise<Ended> {
    const child = spawn(process.execPath, [built("cli/main.js"), ...arguments_], { cwd: this.folder });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const timer = killAfter === null ? null : setTimeout(() => child.kill("SIGKILL"), killAfter);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    if (timer !== null) clearTimeout(timer);
    return { code, stdout, stderr };
  }

  /** Rows of a query over a copy, by DuckDB itself; `also` attaches a second one as `other`. */
  async query(file: string, sql: string, also?: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
      await connection.run(`ATTACH '${join(this.folder, file)}' AS copy (READ_ONLY)`);
      if (also !== undefined) await connection.run(`ATTACH '${join(this.folder, also)}' AS other (READ_ONLY)`);
      return (await connection.runAndReadAll(sql)).getRowObjects();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  /** Another process has a DuckDB file open for reading while `work` runs, which is given its id. */
  async holdOpen(file: string, work: (pid: number) => Promise<void>): Promise<void> {
    const program = `const { DuckDBInstance } = require("@duckdb/node-api");
      (async function open() {
        const opened = await DuckDBInstance.create(${JSON.stringify(join(this.folder, file))}, { access_mode: "READ_ONLY" }).catch(() => null);
        if (opened === null) return setTimeout(open, 20);
        console.log("open");
        setInterval(() => opened, 1e6);
      })();`;
    const child = spawn(process.execPath, ["-e", program], { cwd: import.meta.dirname });
    try {
      await once(child.stdout, "data");
      await work(child.pid!);
    } finally {
      child.kill();
      await once(child, "exit");
    }
  }

  /** Rows by which two copies of a table differ, system columns aside; `[]`: they are equal. */
  async differences(table: string, file: string, fresh: string): Promise<Record<string, unknown>[]> {
    const rows = (of: string): string =>
      `SELECT * EXCLUDE (_headwaters_synced, _headwaters_deleted) FROM ${of}.public."${table}" WHERE NOT _headwaters_deleted`;
    const sql = `(SELECT 'only in the copy' AS what, * FROM (${rows("copy")} EXCEPT ALL ${rows("other")}))
      UNION ALL (SELECT 'only in the fresh one', * FROM (${rows("other")} EXCEPT ALL ${rows("copy")})) LIMIT 10`;
    return this.query(file, sql, fresh);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
