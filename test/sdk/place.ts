import type { SyncOptions } from "../../src/engine/run/run.ts";
import type { Settings } from "../../src/engine/connection.ts";
import type { SyncEvent } from "../../src/engine/events.ts";
import type { RunRecord } from "../../src/protocol/state-store.ts";
import type { Selection, SourceDefinition } from "../../src/protocol/source.ts";
import type { Type } from "../../src/protocol/types.ts";
import { Copy } from "../engine/harness.ts";

interface Given extends Partial<Omit<SyncOptions, "tables">> {
  readonly configuration?: unknown;
  readonly settings?: Partial<Settings>;
  readonly selection?: Selection;
  readonly scope?: string;
  /** What the user set for a table: types by column. */
  readonly types?: Readonly<Record<string, Readonly<Record<string, Type>>>>;
}

/** A DuckDB file that sources of one's own are synced into. */
export class Place implements AsyncDisposable {
  readonly copy: Copy;
  readonly said: string[] = [];

  private constructor(copy: Copy) {
    this.copy = copy;
  }

  static async make(): Promise<Place> {
    return new Place(await Copy.make());
  }

  /** One sync, with a source that is opened for it, as another process would. */
  async sync(
    definition: SourceDefinition,
    { configuration = {}, types = {}, ...options }: Given = {},
    report: (event: SyncEvent) => void = () => {},
  ): Promise<RunRecord> {
    const say = (message: string): void => void this.said.push(message);
    const context = {
      log: { debug: say, info: say, warn: say },
      tables: Object.fromEntries(Object.entries(types).map(([table, columns]) => [table, { types: columns }])),
      types: "exact",
      signal: new AbortController().signal,
    } as const;
    await using source = await definition.open(definition.configuration.parse(configuration), context);
    return await this.copy.sync(source, { capabilities: definition.capabilities, ...options }, report);
  }

  /** Rows of a copy that are not deleted, without system columns, ordered by `key`. */
  async rows(table: string, key = "id"): Promise<Record<string, unknown>[]> {
    const rows = await this.copy.query(`SELECT * FROM s."${table}" WHERE NOT _headwaters_deleted ORDER BY "${key}"`);
    return rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith("_headwaters"))),
    );
  }

  /** Column to DuckDB type. */
  async types(table: string): Promise<Record<string, unknown>> {
    const columns = await this.copy.query(`DESCRIBE s."${table}"`);
    const own = columns.filter(({ column_name }) => !String(column_name).startsWith("_headwaters"));
    return Object.fromEntries(own.map(({ column_name, column_type }) => [column_name, column_type]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.copy[Symbol.asyncDispose]();
  }
}

/** How the only table of a run failed, or all of them alike. */
export function failure({ tables }: RunRecord): string | null {
  const error = tables.find((table) => table.error !== null)?.error ?? null;
  return error === null ? null : `${error.code}: ${error.message}`;
}
