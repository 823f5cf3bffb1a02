import type { Connection } from "../engine/connection.ts";
import { scopesOf } from "../engine/selection/scope.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { DestinationContext, Warehouse } from "../protocol/destination.ts";
import type { Source } from "../protocol/source.ts";
import type { ConfiguredConnection, CopySide } from "./configuration/resolve.ts";

export interface ConnectOptions {
  readonly log: Log;
  withoutSecrets(text: string): string;
  readonly signal: AbortSignal;
  /** As in `SourceContext`. */
  readonly follows?: true;
  /** As in `DestinationContext`. */
  readonly keepRuns?: number;
}

/** Opens the source of a connection, without connecting to its server yet. */
export async function openSource(
  { source, tables, types }: ConfiguredConnection,
  { log, signal, follows }: Pick<ConnectOptions, "log" | "signal" | "follows">,
): Promise<Source> {
  const how = follows === undefined ? {} : { follows };
  return source.definition.open(source.configuration, { log, tables, types, signal, ...how });
}

/** The context that the destination of a connection is opened with. */
export function destinationContext(
  { name, schema, systemColumnPrefix, deletion, deletions, views, rename }: CopySide,
  { log, keepRuns }: Pick<ConnectOptions, "log" | "keepRuns">,
): DestinationContext {
  const kept = keepRuns === undefined ? {} : { keepRuns };
  return { log, connection: name, schema, systemColumnPrefix, deletion, deletions, views, rename, ...kept };
}

/** Opens the destination of a connection. If it is empty: `create` sets it up, else throws `DESTINATION_EMPTY`. */
export async function openWarehouse(
  connection: CopySide,
  options: ConnectOptions,
  create: boolean,
): Promise<Warehouse> {
  const { definition, configuration } = connection.destination;
  const name = await nameOfCopy(connection, options);
  return definition.open(configuration, destinationContext({ ...connection, name }, options), { create });
}

/** The first of a connection's names that the destination has data of. If there is none: the connection's own name. */
async function nameOfCopy(connection: CopySide, options: ConnectOptions): Promise<string> {
  const { name: own, otherNames, destination } = connection;
  if (otherNames.length === 0) return own;
  for (const name of [own, ...otherNames]) {
    const context = destinationContext({ ...connection, name }, options);
    try {
      await using _ = await destination.definition.open(destination.configuration, context, { create: false });
      return name;
    } catch (thrown) {
      if (!(thrown instanceof HeadwatersError) || thrown.code !== "DESTINATION_EMPTY") throw thrown;
    }
  }
  return own;
}

/** What the engine needs for a connection besides its two sides. */
export function sidesOf(
  configured: ConfiguredConnection,
  { log, withoutSecrets }: Pick<ConnectOptions, "log" | "withoutSecrets">,
): Omit<Connection, "source" | "warehouse"> {
  const { definition, configuration } = configured.source;
  return {
    name: configured.name,
    capabilities: definition.capabilities,
    ...scopesOf(definition, configuration),
    selection: configured.selection,
    tables: configured.tableSettings,
    settings: configured.settings,
    log,
    withoutSecrets,
  };
}

/** Opens both sides for the engine. Disposing the result closes both. */
export async function connect(
  configured: ConfiguredConnection,
  options: ConnectOptions,
  create: boolean,
): Promise<Connection & AsyncDisposable> {
  const source = await openSource(configured, options);
  try {
    const warehouse = await openWarehouse(configured, options, create);
    return {
      ...sidesOf(configured, options),
      source,
      warehouse,
      async [Symbol.asyncDispose]() {
        try {
          await source[Symbol.asyncDispose]();
        } finally {
          await warehouse[Symbol.asyncDispose]();
        }
      },
    };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}
