import { readdir } from "node:fs/promises";
import { join } from "node:path";
import duckdb from "@duckdb/node-bindings";
import { HeadwatersError } from "../../protocol/errors.ts";
import { literal } from "../sql/names.ts";

/** Extensions of DuckDB that a lake may need. */
export type Extension = "ducklake" | "postgres_scanner" | "httpfs";

/**
 * Loads an extension: from a folder of the user's, or as DuckDB has installed it, or downloads it once. DuckDB itself
 * checks its signature, and that it was built for this very version.
 */
export async function loadExtension(
  connection: duckdb.Connection,
  extension: Extension,
  folder: string | undefined,
): Promise<void> {
  if (folder !== undefined) return load(connection, extension, await findFile(extension, folder));
  try {
    await duckdb.query(connection, `LOAD ${extension}`);
  } catch {
    // Not installed, or for another version. The next way must work, and reports what is wrong.
    await load(connection, extension, null);
  }
}

async function load(connection: duckdb.Connection, extension: Extension, file: string | null): Promise<void> {
  try {
    if (file === null) await duckdb.query(connection, `FORCE INSTALL ${extension}`);
    await duckdb.query(connection, `LOAD ${file === null ? extension : literal(file)}`);
  } catch (thrown) {
    const said = thrown instanceof Error ? thrown.message.split("\n", 1)[0]! : String(thrown);
    const from = file === null ? "can't be downloaded" : `can't be loaded from ${file}`;
    throw new HeadwatersError("DESTINATION_UNUSABLE", `DuckDB's extension ${extension} ${from}: ${said}`, {
      hint: remedy(extension),
      cause: thrown,
    });
  }
}

/** The file of an extension in a folder, or below it: Python packages keep it some levels deep. */
async function findFile(extension: Extension, folder: string): Promise<string> {
  const wanted = `${extension}.duckdb_extension`;
  let found: readonly string[];
  try {
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    found = files.filter(({ name }) => name === wanted).map(({ parentPath, name }) => join(parentPath, name));
  } catch (thrown) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `extensions: the folder ${folder} can't be read`, {
      hint: "Check its path and permissions.",
      cause: thrown,
    });
  }
  // Where there are several, one for each version, the folder that holds it is named after the version.
  const fitting = found.find((file) => file.includes(duckdb.library_version())) ?? found[0];
  if (fitting !== undefined) return fitting;
  throw new HeadwatersError("DESTINATION_UNUSABLE", `extensions: there is no ${wanted} in ${folder}`, {
    hint: remedy(extension),
  });
}

function remedy(extension: Extension): string {
  const version = duckdb.library_version().replace(/^v/, "");
  const wheel = `duckdb-extension-${extension.replace("_", "-")}==${version}`;
  return `Let DuckDB reach extensions.duckdb.org, or set extensions to a folder that has it: pip install --target FOLDER ${wheel}`;
}
