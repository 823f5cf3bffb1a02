import { extensionWheels } from "./extension-wheels.ts";
import { MissingServer } from "./require.ts";

/** DuckDB's extensions, in a folder as the setting `extensions` wants it. */
export interface DuckdbExtensions extends AsyncDisposable {
  readonly folder: string;
}

/** Throws `MissingServer` where they can't be had. */
export async function duckdbExtensions(): Promise<DuckdbExtensions> {
  try {
    return { folder: await extensionWheels(), [Symbol.asyncDispose]: async () => {} };
  } catch (error) {
    throw new MissingServer(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
