import { digestName } from "../sql/names.ts";
import { quote } from "../duckdb/dialect.ts";
import { Sizes } from "../duckdb/sizes.ts";
import type { Storage } from "../duckdb/storage.ts";
import { converted, duckdbType } from "../duckdb/types.ts";
import type { Kind } from "../../protocol/types.ts";
import { lakeError } from "./errors.ts";
import { placeholderIn, refusePlaceholders } from "./placeholders.ts";

/** The name under which a lake is attached. */
export const lakeCatalog = "lake";

/** The types that are stored as text or bytes. A UUID is fixed bytes in Parquet. */
const texts: ReadonlySet<Kind> = new Set(["STRING", "XML", "JSON", "BINARY", "UUID"]);

/** The types of which a lake can't make a column of another type. */
const rewritten: ReadonlySet<Kind> = new Set([...texts, "NAIVE_DATETIME", "UTC_DATETIME"]);

/** How tables are stored in a lake. `place`: the lake's name in messages. */
export function lakeStorage(place: string): Storage {
  return {
    catalog: lakeCatalog,
    sizes: new Sizes(null),
    // Two transactions that write the same table conflict, even on different rows. So connections do not share tables.
    ownSuffix: (connection) => `_${digestName(connection).slice(0, 12)}`,
    // Files may be far away.
    sealedRows: 100_000,
    // The catalog's statistics of texts and bytes in a file can be wrong (seen: bytes, NUL). A join that uses them
    // would miss rows.
    skips: ({ kind }) => !texts.has(kind),
    retype(relation, column, from, type) {
      const wide = duckdbType(type);
      if (!rewritten.has(type.kind)) return [`ALTER TABLE ${relation} ALTER ${column} TYPE ${wide}`];
      // A lake can't change a column to such a type, because existing files are not rewritten.
      const other = quote(`headwaters_${digestName(relation, column)}`);
      return [
        `ALTER TABLE ${relation} ADD COLUMN ${other} ${wide}`,
        `UPDATE ${relation} SET ${other} = ${converted(column, from, type)} WHERE ${column} IS NOT NULL`,
        `ALTER TABLE ${relation} DROP COLUMN ${column}`,
        `ALTER TABLE ${relation} RENAME COLUMN ${other} TO ${column}`,
      ];
    },
    keepsComment: (text) => placeholderIn(text) === null,
    vet: refusePlaceholders,
    explain: (thrown) => lakeError(thrown, place),
  };
}
