import type { Connection } from "./connection.ts";
import { select, type Selected, type Selecting } from "./selection.ts";

/** The selected tables of the source, as they stand now. */
export async function discover(
  connection: Selecting & Pick<Connection, "source">,
  signal: AbortSignal,
): Promise<Selected> {
  return select(await connection.source.discover(signal), connection);
}
