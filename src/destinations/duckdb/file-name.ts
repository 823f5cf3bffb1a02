import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { DestinationContext } from "../../protocol/destination.ts";
import { HeadwatersError } from "../../protocol/errors.ts";

/** The name that DuckDB gives to the database in a file: that of the file, up to the first dot. */
function databaseName(path: string): string {
  return basename(path).split(".")[0]!;
}

/**
 * In a file `shop.duckdb` with a schema `shop`, DuckDB takes `shop.orders` for ambiguous, so that nobody could query the
 * copies as usual. A new file is refused; in one that is there already, it is only a warning.
 */
export async function refuseAmbiguous(path: string, { schema, log }: DestinationContext): Promise<void> {
  if (databaseName(path).toLowerCase() !== schema.toLowerCase()) return;
  const problem = `path: DuckDB calls the database in ${basename(path)} "${databaseName(path)}", as the schema is called, so that queries of ${schema}.<table> are ambiguous`;
  const hint = `Give the file another name, such as ${databaseName(path)}-copy.duckdb, or set schema to another name.`;
  if (!existsSync(path)) throw new HeadwatersError("CONFIGURATION_INVALID", problem, { hint });
  log.warn(`${problem}. Until then, write ${schema}.${schema}.<table>. ${hint}`);
}
