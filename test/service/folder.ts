import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PostgresqlServer } from "../servers/postgresql.ts";

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
