import type { Storage } from "../../toolkit/duckdb/storage.ts";
import { duckdbType } from "../../toolkit/duckdb/types.ts";
import { fileError } from "./errors.ts";

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
