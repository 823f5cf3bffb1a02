import type { Storage } from "./storage.ts";
import { duckdbType } from "./types.ts";
import { fileError } from "./file-error.ts";

/** How tables are stored in the DuckDB file at `path`. */
export function fileStorage(path: string): Storage {
  return {
    catalog: null,
    ownSuffix: () => "",
    skips: () => true,
    retype: (relation, column, type) => [`ALTER TABLE ${relation} ALTER ${column} TYPE ${duckdbType(type)}`],
    vet() {},
    explain: (thrown) => fileError(thrown, path),
  };
}
