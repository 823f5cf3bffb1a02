import { z } from "zod";
import type { Json } from "../protocol/json.ts";
import type { Log } from "../protocol/log.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import { mistake, shown } from "./mistake.ts";
import type { UpdateOperation } from "./operations.ts";
import { retryingFetch } from "./retrying-fetch.ts";
import type { Key, Part, Row, Tables } from "./row-types.ts";
import { emptyState, givenState } from "./state.ts";
import { type Behaviour, UpdateSource } from "./update-source.ts";

/** The argument of `update()`. */
export interface Update<Configuration, State, StateGiven, Of extends Tables> {
  readonly configuration: Configuration;
  /** The state of the last checkpoint; before the first one `{}`, with the defaults of the `state` schema. */
  readonly state: State;
  readonly log: Log;
  /** Aborted when the sync must end: pass it to everything that waits, such as `fetch`. */
  readonly signal: AbortSignal;
  /**
   * `fetch` that ends with `signal`, and asks again after 429 and 5xx: as the service says in Retry-After, or with backoff.
   * Throws `SERVER_UNAVAILABLE` if that does not help.
   */
  readonly fetch: typeof fetch;
  /** A whole row, with its lists: inserted, or written over the row with its key. What is left out becomes NULL, or empty. */
  readonly upsert: <Name extends keyof Of & string>(table: Name, row: Row<Of[Name]>) => UpdateOperation;
  /** Some columns of an existing row; ignored if the row does not exist. Columns that are left out stay as they are. */
  readonly update: <Name extends keyof Of & string>(table: Name, row: Part<Of[Name]>) => UpdateOperation;
  /** Deletes the row with this key; ignored if it does not exist. */
  readonly remove: <Name extends keyof Of & string>(table: Name, key: Key<Of[Name]>) => UpdateOperation;
  /** Deletes all rows whose keys have these values in some of their columns: the lines of an order. */
  readonly removeAll: <Name extends keyof Of & string>(table: Name, part: Partial<Key<Of[Name]>>) => UpdateOperation;
  /** Deletes all rows that the table has so far. */
  readonly truncate: (table: keyof Of & string) => UpdateOperation;
  /** Everything yielded so far is complete: it is stored together with the state, from which the next sync goes on. */
  readonly checkpoint: (state: StateGiven) => UpdateOperation;
}

type NoSettings = z.ZodObject<Record<never, never>>;
type AnyState = z.ZodRecord<z.ZodString, z.ZodAny>;

/** A source with an `update()`. */
export interface UpdateDefinition<
  Configuration extends z.ZodType = NoSettings,
  State extends z.ZodType = AnyState,
  Of extends Tables = Tables,
> {
  /** Lowercase letters, digits, - and _. Also the name of the destination schema. */
  readonly name: string;
  /** As people write it. Default: the name. */
  readonly title?: string;
  /** Its settings: a `z.object`. Secrets have `.meta({ secret: true })`. */
  readonly configuration?: Configuration;
  /** The schema of the state: a `z.object` in which every part has a default or is optional. */
  readonly state?: State;
  /** The part of the configuration that decides which rows exist: if it changes, the user must agree. */
  scope?(configuration: z.output<Configuration>): Json;
  /** Its tables, or a function that returns them for a configuration. */
  readonly schema: Of | ((configuration: z.output<Configuration>) => Of | Promise<Of>);
  /** For `headwaters check`: throws if the source can't be read; otherwise may return a message. */
  check?(context: {
    readonly configuration: z.output<Configuration>;
    readonly signal: AbortSignal;
    readonly fetch: typeof fetch;
  }): Promise<string | void>;
  /** Yields what changed since the checkpoint of `state`: one operation or an array of them at a time. */
  update(
    context: Update<z.output<Configuration>, z.output<State>, z.input<State>, Of>,
  ): AsyncIterable<UpdateOperation | readonly UpdateOperation[]>;
}

/**
 * Defines a source: by the full contract, or by its tables and an `update()` that yields what changed.
 *
 * Throws `SOURCE_MISTAKEN` if the definition can't work.
 */
export function defineSource<Schema extends z.ZodType>(definition: SourceDefinition<Schema>): SourceDefinition<Schema>;
export function defineSource<
  const Of extends Tables,
  Configuration extends z.ZodType = NoSettings,
  State extends z.ZodType = AnyState,
>(definition: UpdateDefinition<Configuration, State, Of>): SourceDefinition<Configuration>;
export function defineSource(definition: SourceDefinition | UpdateDefinition<z.ZodType, z.ZodType>): SourceDefinition {
  const { name } = definition;
  if (typeof name !== "string" || !/^[a-z][a-z0-9_-]*$/.test(name)) {
    throw mistake(
      `defineSource: name is ${shown(name)}`,
      "A name may only have lowercase letters, digits, - and _, and begins with a letter.",
    );
  }
  return "open" in definition ? definition : ofUpdate(definition);
}

function ofUpdate(definition: UpdateDefinition<z.ZodType, z.ZodType>): SourceDefinition {
  const { name, title = name, schema, scope, check, update } = definition;
  const configuration = strict(definition.configuration ?? z.object({}));
  const state = definition.state ?? z.record(z.string(), z.any());
  if (typeof update !== "function")
    throw mistake(`source "${name}" has no update()`, "Add one: async *update({ upsert, checkpoint }) { … }.");
  if (schema === undefined) {
    throw mistake(`source "${name}" has no schema`, 'Add its tables: schema: { readings: { key: ["id"] } }.');
  }
  givenState(emptyState, state, name);
  return {
    name,
    title,
    configuration,
    capabilities: { passes: ["stream"], independentPath: false, schema: "inferred", together: true },
    scope: (settings) => scope?.(settings) ?? null,
    schema: () => name,
    async open(settings, context) {
      const behaviour: Behaviour = {
        name,
        state,
        schema: () => (typeof schema === "function" ? schema(settings) : schema),
        check: async (signal) =>
          check?.({ configuration: settings, signal, fetch: retryingFetch(context.log, signal) }),
        update: (operations, given, signal) =>
          update({
            configuration: settings,
            state: given,
            log: context.log,
            signal,
            fetch: retryingFetch(context.log, signal),
            upsert: (table, row) => operations.upsert(table, row),
            update: (table, row) => operations.update(table, row),
            remove: (table, key) => operations.remove(table, key),
            removeAll: (table, part) => operations.removeAll(table, part),
            truncate: (table) => operations.truncate(table),
            checkpoint: (kept) => operations.checkpoint(kept),
          }),
      };
      return new UpdateSource(behaviour, context);
    },
  };
}

/** Refuses unknown settings, which may be mistyped; a `z.looseObject` allows them. */
function strict(configuration: z.ZodType): z.ZodType {
  const closed = configuration instanceof z.ZodObject && configuration.def.catchall === undefined;
  return closed ? configuration.strict() : configuration;
}
