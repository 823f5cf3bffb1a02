import { dirname } from "node:path";
import duckdb from "@duckdb/node-bindings";
import { wheelFolder } from "./python.ts";

/** Of those that DuckLake needs, with a catalog in PostgreSQL and files on S3. */
const names = ["ducklake", "postgres-scanner", "httpfs"];

/**
 * DuckDB's extensions from Python packages for this very version: a folder as the setting `extensions` wants it. Throws
 * `CONFIGURATION_INVALID` where they can't be had.
 */
export async function extensionsFolder(): Promise<string> {
  const version = duckdb.library_version().replace(/^v/, "");
  const folders: string[] = [];
  for (const name of names) folders.push(await wheelFolder(`duckdb-extension-${name}==${version}`));
  return dirname(folders[0]!);
}
