import { extensionsFolder } from "../../src/servers/duckdb-extensions.ts";
import { orMissing } from "./require.ts";

/** DuckDB's extensions, in a folder as the setting `extensions` wants it. */
export interface DuckdbExtensions extends AsyncDisposable {
  readonly folder: string;
}

/** Throws `MissingServer` where they can't be had. */
export async function duckdbExtensions(): Promise<DuckdbExtensions> {
  return { folder: await orMissing(extensionsFolder()), [Symbol.asyncDispose]: async () => {} };
}
