import { dirname } from "node:path";
import duckdb from "@duckdb/node-bindings";
import { wheelFolder } from "./python.ts";

/** The extensions that DuckLake needs with a catalog in PostgreSQL and files on S3. */
const names = ["ducklake", "postgres-scanner", "httpfs"];

/**
 * DuckDB's extensions for exactly this version, from Python packages: a folder for the setting `extensions`. Throws
 * `CONFIGURATION_INVALID` if they can't be installed.
 */
export async function extensionsFolder(): Promise<string> {
  const version = duckdb.library_version().replace(/^v/, "");
  const folders: string[] = [];
  for (const name of names) folders.push(await wheelFolder(`duckdb-extension-${name}==${version}`));
  return dirname(folders[0]!);
}
