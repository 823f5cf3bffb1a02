import type { HeadwatersError } from "../../protocol/errors.ts";
import { duckdbError } from "./errors.ts";
import { fileErrors } from "./file-errors.ts";

const known = fileErrors("path");

/** Whatever DuckDB threw, as what the user sees. `path` is that of the file. */
export function fileError(thrown: unknown, path: string): HeadwatersError {
  return duckdbError(thrown, path, known);
}
