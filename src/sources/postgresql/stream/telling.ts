import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { loadCatalog } from "../catalog/catalog.ts";
import { type Shape, type ShapeContext, shapeOf } from "../catalog/shape.ts";
import { type Configuration, follows, type OutputPlugin } from "../config.ts";
import type { Server } from "../server.ts";
import { whyNotFollowed } from "./followed.ts";
import { pluginOf, streamNames } from "./names.ts";

/** How the log of a table is read. */
export interface Telling {
  /** `null`: only to a process that follows. */
  readonly slot: string | null;
  readonly plugin: OutputPlugin;
}

/**
 * How the log is read for a table; `null`: it is not read. `goesOn`: this process follows. YugabyteDB does not report
 * where its log ends, so only a process that follows can read it.
 */
export function tellingOf(
  configuration: Configuration,
  server: Server,
  table: string,
  goesOn: boolean,
): Telling | null {
  if (!follows(configuration, table)) return null;
  const slot = server.yugabyte && !goesOn ? null : streamNames(configuration).slot;
  return { slot, plugin: pluginOf(configuration, server) };
}

/** The tables that exist and can be followed. */
export async function followedShapes(
  connection: PostgresConnection,
  configuration: Configuration,
  server: Server,
  context: ShapeContext,
  tables: readonly string[],
  signal: AbortSignal,
): Promise<readonly Shape[]> {
  const shapes: Shape[] = [];
  for (const table of await loadCatalog(connection, configuration.schema, tables, signal)) {
    if (!follows(configuration, table.name)) continue;
    try {
      const shape = shapeOf(table, context);
      if (whyNotFollowed(shape, server, pluginOf(configuration, server)) === null) shapes.push(shape);
    } catch (thrown) {
      // Its own plan reports it.
      if (!(thrown instanceof HeadwatersError)) throw thrown;
    }
  }
  return shapes;
}
