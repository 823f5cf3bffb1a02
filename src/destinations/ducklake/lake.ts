import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import duckdb from "@duckdb/node-bindings";
import { HeadwatersError } from "../../protocol/errors.ts";
import { openDatabase } from "../duckdb/database.ts";
import { type Instance, openInstance } from "../duckdb/instance.ts";
import { literal } from "../sql/names.ts";
import { attachmentOf, type Catalog, placeOf } from "./catalog.ts";
import type { Configuration } from "./config.ts";
import { type Extension, loadExtension } from "./extensions.ts";
import { isS3, s3Secret } from "./s3.ts";
import { lakeCatalog, lakeStorage } from "./storage.ts";

/** A lake that is attached to a DuckDB in memory. */
export interface Lake {
  readonly catalog: Catalog;
  /** The lake's name in messages. */
  readonly place: string;
  readonly instance: Instance;
}

let lakes = 0;

/** What for: `create` makes the lake if there is none, `write` needs one, and `read` does not write to it. */
type Purpose = "create" | "write" | "read";

/** Attaches a lake. If the catalog is a file that this process has open already, its instance is shared. */
export async function openLake(configuration: Configuration, catalog: Catalog, purpose: Purpose): Promise<Lake> {
  const place = placeOf(catalog);
  if (catalog.kind === "file" && purpose !== "create" && !existsSync(catalog.path)) {
    throw new HeadwatersError("DESTINATION_EMPTY", `catalog: there is no lake at ${place} yet`, {
      hint: "Run sync first.",
    });
  }
  const number = ++lakes;
  // Each lake needs its own folder, because temporary files have the same names.
  const temporary = join(configuration.temp_directory ?? tmpdir(), `headwaters-lake-${process.pid}-${number}`);
  const instance = await openInstance({
    key: catalog.kind === "file" ? `lake ${place}` : `lake ${number}`,
    storage: lakeStorage(place),
    async open() {
      const database = await openDatabase(":memory:", configuration, temporary);
      try {
        await attach(database, configuration, catalog, purpose);
        return database;
      } catch (thrown) {
        duckdb.close_sync(database);
        throw thrown;
      }
    },
    // Detaching merges the log of a catalog's file into the file. (CHECKPOINT of a lake would rewrite data files.)
    finish: async (control) => void (await control.run(`USE memory; DETACH ${lakeCatalog}`)),
  });
  return { catalog, place, instance };
}

async function attach(
  database: duckdb.Database,
  configuration: Configuration,
  catalog: Catalog,
  purpose: Purpose,
): Promise<void> {
  const { data, extensions } = configuration;
  const s3 = data !== undefined && isS3(data);
  const { secret, address, options } = attachmentOf(catalog);
  const needed: readonly Extension[] = [
    "ducklake",
    ...(catalog.kind === "postgresql" ? (["postgres_scanner"] as const) : []),
    ...(s3 ? (["httpfs"] as const) : []),
  ];
  const all = [
    ...options,
    `CREATE_IF_NOT_EXISTS ${purpose === "create"}`,
    ...(purpose === "read" ? ["READ_ONLY"] : []),
    ...(data === undefined ? [] : [`DATA_PATH ${literal(data)}`]),
    // Rows are inlined into the catalog as SQL text, in which a value may be taken for a placeholder (seen).
    "DATA_INLINING_ROW_LIMIT 0",
  ];
  const connection = await duckdb.connect(database);
  try {
    for (const extension of needed) await loadExtension(connection, extension, extensions);
    for (const sql of [secret, s3 ? s3Secret(configuration) : null]) {
      if (sql !== null) await duckdb.query(connection, sql);
    }
    await duckdb.query(connection, `ATTACH ${literal(address)} AS ${lakeCatalog} (${all.join(", ")})`);
  } finally {
    duckdb.disconnect_sync(connection);
  }
}
