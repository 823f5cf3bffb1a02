import { digestName } from "../sql/names.ts";
import { quote } from "../duckdb/dialect.ts";
import type { Storage } from "../duckdb/storage.ts";
import { duckdbType } from "../duckdb/types.ts";
import type { Kind } from "../../protocol/types.ts";
import { lakeError } from "./errors.ts";
import { refusePlaceholders } from "./placeholders.ts";

/** Name under which a lake is attached. */
export const lakeCatalog = "lake";

/** Kept as text or bytes. */
const texts: ReadonlySet<Kind> = new Set(["STRING", "XML", "JSON", "BINARY"]);

/** How tables are stored in a lake. `place` is what users know it by. */
export function lakeStorage(place: string): Storage {
  return {
    catalog: lakeCatalog,
    // Two transactions that write one table conflict, whichever rows they write: connections share none.
    ownSuffix: (connection) => `_${digestName(connection).slice(0, 12)}`,
    // What the catalog knows of texts and bytes in a file is not always so (seen: bytes, NUL): a join that believed it
    // would not find its rows.
    skips: ({ kind }) => !texts.has(kind),
    retype(relation, column, type) {
      const wide = duckdbType(type);
      if (!texts.has(type.kind)) return [`ALTER TABLE ${relation} ALTER ${column} TYPE ${wide}`];
      // A lake turns nothing into text by itself, since files keep what they have.
      const other = quote(`headwaters_${digestName(relation, column)}`);
      return [
        `ALTER TABLE ${relation} ADD COLUMN ${other} ${wide}`,
        `UPDATE ${relation} SET ${other} = CAST(${column} AS ${wide}) WHERE ${column} IS NOT NULL`,
        `ALTER TABLE ${relation} DROP COLUMN ${column}`,
        `ALTER TABLE ${relation} RENAME COLUMN ${other} TO ${column}`,
      ];
    },
    vet: refusePlaceholders,
    explain: (thrown) => lakeError(thrown, place),
  };
}
