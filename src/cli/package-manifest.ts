import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The parts of our own `package.json` that the command line uses. */
export interface PackageManifest {
  readonly version: string;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** The folder of our own package. */
export const packageFolder = fileURLToPath(new URL("../../", import.meta.url)).replace(/[\\/]$/, "");

export function packageManifest(): PackageManifest {
  return JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as PackageManifest;
}

/** The path of the JSON Schema of files of connections. */
export const packagedSchema = join(packageFolder, "headwaters.schema.json");
