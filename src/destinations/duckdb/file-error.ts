import type { HeadwatersError } from "../../protocol/errors.ts";
import { duckdbError } from "./errors.ts";
import { fileErrors } from "./file-errors.ts";

const known = fileErrors("path");

/** Converts an error of DuckDB into one for the user. `path`: the path of the file. */
export function fileError(thrown: unknown, path: string): HeadwatersError {
  return duckdbError(thrown, path, known);
}
