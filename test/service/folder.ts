import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { PostgresqlServer } from "../servers/postgresql.ts";
import type { Up } from "./up.ts";

/** A folder with a file of connections. */
export interface Folder extends AsyncDisposable {
  readonly path: string;
  write(file: object | string): Promise<void>;
}

export async function folderWith(file: object): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "headwaters-up-"));
  const write = async (file: object | string): Promise<void> =>
    writeFile(join(path, "headwaters.yaml"), typeof file === "string" ? file : JSON.stringify(file), { mode: 0o600 });
  await write(file);
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The source of a database, as it stands in a file of connections. */
export function sourceOf({ host, port, user, password, database }: PostgresqlServer): object {
  return { type: "postgresql", host, port, user, password, database, schema: "public" };
}

/** Reads a copy by a client that is not ours. */
export async function duckdbRows(file: string, sql: string, mode = "(READ_ONLY)"): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run(`ATTACH '${file}' AS copy ${mode}`);
    return (await connection.runAndReadAll(sql)).getRowObjects();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The processes that the service has started. */
export async function workersOf(up: Up): Promise<readonly number[]> {
  const { pid } = up.process;
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
