import type { Table } from "../protocol/table.ts";
import type { Connection } from "./connection.ts";
import { select } from "./selection.ts";

/** The selected tables of the source, as they stand now. */
export async function discover(
  connection: Pick<Connection, "source" | "selection">,
  signal: AbortSignal,
): Promise<readonly Table[]> {
  return select(await connection.source.discover(signal), connection.selection);
}
