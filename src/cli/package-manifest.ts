import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The parts of our own `package.json` that the command line uses. */
export interface PackageManifest {
  readonly version: string;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export function packageManifest(): PackageManifest {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as PackageManifest;
}

/** The path of the JSON Schema of files of connections. */
export const packagedSchema = fileURLToPath(new URL("../../headwaters.schema.json", import.meta.url));
