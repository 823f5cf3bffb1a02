import type { QueryResult, UserQuery } from "../../protocol/query.ts";
import type { Session } from "./session.ts";
import { quote } from "./dialect.ts";
import type { Configuration } from "./config.ts";
import { openDatabase, realFile } from "./database.ts";
import { assertThere } from "./file.ts";
import { fileStorage } from "./file-storage.ts";
import { openInstance, type Instance } from "./instance.ts";

/** Runs a query on a file, which is opened for reading only. */
export async function queryFile(configuration: Configuration, query: UserQuery): Promise<QueryResult> {
  const path = await realFile("path", configuration.path);
  assertThere(path);
  const temporary = configuration.temp_directory ?? `${path}.tmp`;
  const instance = await openInstance({
    key: `reading ${path}`,
    storage: fileStorage(path, configuration.memory_limit),
    open: () => openDatabase(path, configuration, temporary, { access_mode: "READ_ONLY" }),
    finish: async () => {},
  });
  return queryInstance(instance, query);
}

/** Runs a query, then closes the instance. */
export async function queryInstance(
  instance: Instance,
  { sql, schema, limit, signal }: UserQuery,
): Promise<QueryResult> {
  try {
    const session = await instance.connect();
    const stop = (): void => session.interrupt();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await useSchema(session, schema);
      return await session.select(sql, limit);
    } finally {
      signal.removeEventListener("abort", stop);
      await session.close();
    }
  } finally {
    await instance.leave();
  }
}

/** Makes names without a schema mean the copies. */
async function useSchema(session: Session, schema: string): Promise<void> {
  const { catalog } = session;
  const found = await session.number(
    "SELECT count(*)::INTEGER FROM duckdb_schemas() WHERE database_name = $1 AND schema_name = $2",
    [catalog, schema],
  );
  if (found > 0) await session.run(`USE ${quote(catalog)}.${quote(schema)}`);
}
