import { existsSync } from "node:fs";
import { HeadwatersError } from "../../protocol/errors.ts";
import { openDatabase, realFile } from "./database.ts";
import { type Instance, openInstance } from "./instance.ts";
import type { Configuration } from "./config.ts";
import { fileStorage } from "./file-storage.ts";

/** An open DuckDB file. */
export interface OpenFile {
  readonly path: string;
  readonly instance: Instance;
}

/** Opens a file, or shares it if it is open. `create: false`: throws `DESTINATION_EMPTY` if the file does not exist. */
export async function openFile(configuration: Configuration, create: boolean): Promise<OpenFile> {
  const path = await realFile("path", configuration.path);
  if (!create) assertThere(path);
  const instance = await openInstance({
    key: path,
    storage: fileStorage(path, configuration.memory_limit),
    open: () => openDatabase(path, configuration, configuration.temp_directory ?? `${path}.tmp`),
    // Merges the log into the file, so that other tools can read the file.
    finish: async (control) => void (await control.run("CHECKPOINT")),
  });
  return { path, instance };
}

export function assertThere(path: string): void {
  if (existsSync(path)) return;
  throw new HeadwatersError("DESTINATION_EMPTY", `path: there is no file ${path} yet`, { hint: "Run sync first." });
}
