import { readdir } from "node:fs/promises";
import { join } from "node:path";
import duckdb from "@duckdb/node-bindings";
import { HeadwatersError } from "../../protocol/errors.ts";
import { literal } from "../sql/names.ts";

/** The DuckDB extensions that a lake may need. */
export type Extension = "ducklake" | "postgres_scanner" | "httpfs";

/**
 * Loads an extension from the user's folder or, without a folder, the one that DuckDB has installed; if there is none,
 * downloads it once. DuckDB checks the extension's signature, and that it was built for exactly this version.
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
    // The extension is not installed, or is for another version. If installing it fails too, that error is reported.
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

/** The file of an extension in a folder or below it. Python packages have it some levels deep. */
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
  // If there are several, each is in a folder named after its version.
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
