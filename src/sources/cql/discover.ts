import { HeadwatersError } from "../../protocol/errors.ts";
import type { SourceContext, TableOptions } from "../../protocol/source.ts";
import type { Column, Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { duration } from "../../toolkit/figures.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { refusedTable } from "../../toolkit/refused-table.ts";
import type { TextColumns } from "../../toolkit/text-columns.ts";
import { typeName } from "../../toolkit/types.ts";
import type { Cluster, Routing } from "../../wire/cql/cluster.ts";
import { decoderFor, exactType, exampleType } from "../../wire/cql/decode.ts";
import { versionColumn } from "../../wire/cql/decode-page.ts";
import { quoted } from "../../wire/cql/errors.ts";
import { type CdcLog, enabling, isLog, readLogs } from "./cdc/logs.ts";
import { keyLoss } from "../../wire/cql/keys.ts";
import { columnNames, type CqlColumn, type CqlTable, hasRangeIndex, keyspaceNames, readTables } from "./catalog.ts";
import { tableSizes } from "./cluster-state.ts";
import type { CqlSettings } from "./settings.ts";
import { type Dialect, dialectOf, userTypesRecipe, versionRecipe } from "./statements.ts";
import { cqlTypeName } from "../../wire/cql/types.ts";

/**
 * Types of columns that can say when a row came. All but date, which two changes of a day share, can say when it
 * changed.
 */
const cursorTypes: ReadonlySet<string> = new Set(["timestamp", "timeuuid", "date", "bigint", "int", "varint", "uuid"]);

/** Names of columns that are set when a row is made, and never again. */
const insertOnly =
  /^(created|inserted|added|creation|event)(_?(at|on|time|date|ts|timestamp))?$|^(create|insert|add)_?(time|date|ts|timestamp)$|^(date|time)_?(created|inserted|added)$/i;

/** What decides the types of columns. */
export interface TypeContext extends Pick<SourceContext, "tables" | "types"> {
  /** Columns that are read as text although they would be DECIMAL; absent: none. */
  readonly asText?: Pick<TextColumns, "has">;
}

/** All tables of the keyspace, and its materialized views if the user wants them. */
export async function discoverTables(
  cluster: Cluster,
  settings: CqlSettings,
  context: TypeContext,
  signal: AbortSignal,
): Promise<readonly Table[]> {
  const routing = { signal };
  const dialect = dialectOf(await cluster.refresh(signal));
  const natives = await readTables(cluster, settings.keyspace, null, routing);
  if (natives.length === 0) await assertKeyspace(cluster, settings.keyspace, routing);
  const sizes = await tableSizes(cluster, settings.keyspace, null, routing);
  const logs = settings.mayStream ? await readLogs(cluster, settings.keyspace, null, routing) : noLogs;
  return natives
    .filter((native) => (settings.views || !native.isView) && !isLog(native.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((native) => {
      // If partitions hold many rows, the number of rows is unknown.
      const partitions = sizes.get(native.name)?.partitions ?? null;
      const estimated = columnNames(native, "clustering").length > 0 ? null : partitions;
      try {
        return tableOf(native, settings, context, dialect, estimated, logs.get(native.name) ?? null);
      } catch (thrown) {
        return refusedTable(native.name, thrown);
      }
    });
}

/** Throws `DATABASE_UNKNOWN` if the keyspace does not exist. */
async function assertKeyspace(cluster: Cluster, keyspace: string, routing: Routing): Promise<void> {
  const names = await keyspaceNames(cluster, routing);
  if (names.includes(keyspace)) return;
  const own = names.filter((name) => !name.startsWith("system"));
  const meant = nearest(keyspace, own);
  throw new HeadwatersError("DATABASE_UNKNOWN", `keyspace: the cluster has no keyspace ${quoted(keyspace)}`, {
    hint: `${meant === null ? "" : `Did you mean ${quoted(meant)}? `}It has ${own.map(quoted).join(", ") || "none but the system's"}; case matters.`,
  });
}

const noLogs: Awaited<ReturnType<typeof readLogs>> = new Map();

/** A table for the engine, and how its changes are detected. */
export function tableOf(
  native: CqlTable,
  settings: CqlSettings,
  context: TypeContext,
  dialect: Dialect,
  estimatedRows: number | null,
  log: CdcLog | null = null,
): Table {
  const options = context.tables[native.name] ?? {};
  const key = [...columnNames(native, "partition_key"), ...columnNames(native, "clustering")];
  const columns = native.columns.map((column) => columnOf(native, column, options, context));
  const { cursor, version, notes, ...streamed } = changesOf(native, key, settings, options, log);
  if (columnNames(native, "static").length > 0 && columnNames(native, "clustering").length > 0) {
    notes.push("A partition with only static columns is one row, whose clustering columns are empty.");
  }
  if (version === versionColumn) columns.push({ name: versionColumn, type: { kind: "LONG" }, nullable: false });
  const identity = [
    native.id,
    // With another recipe, every row has another version. The table is then read whole instead of key by key.
    ...(version === versionColumn ? [versionRecipe(native, dialect)] : []),
    // With other fields, values that nobody wrote since look different. No write time shows that.
    ...userTypesRecipe(native),
  ].join(" ");
  const comment = native.comment === "" ? {} : { comment: native.comment };
  return { id: native.name, columns, key, identity, cursor, version, ...streamed, estimatedRows, notes, ...comment };
}

/** The server's id of a table; it is the first part of the identity. */
export function nativeId({ identity }: Table): string {
  return identity.split(" ", 1)[0]!;
}

function columnOf(
  table: CqlTable,
  column: CqlColumn,
  options: TableOptions,
  { types, asText }: Pick<TypeContext, "types" | "asText">,
): Column {
  const { name, kind } = column;
  const nullable = kind !== "partition_key" && kind !== "clustering";
  const wanted = options.types?.[name];
  if (wanted === undefined) {
    const type = defaultType(column, types);
    const isText = nullable && type.kind === "DECIMAL" && asText?.has(table.name, name) === true;
    return { name, type: isText ? { kind: "STRING" } : type, nullable };
  }
  const setting = `overrides: ${table.name}: types: column "${name}" is a ${cqlTypeName(column.type)}`;
  if (decoderFor(column.type, wanted) === null) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `${setting}, which can't be read as ${typeName(wanted)}`, {
      hint: "Leave it out for the type that holds every value.",
    });
  }
  const loss = lossOf(column, wanted);
  if (loss !== null) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `${setting} of the key, and can't be ${typeName(wanted)}: ${loss}`,
      {
        hint: "Set STRING, which keeps all keys apart, or leave it out.",
      },
    );
  }
  return { name, type: wanted, nullable };
}

/** Why keys could become one if this column had a type; `null`: they could not, or it is no key column. */
function lossOf({ kind, type }: CqlColumn, wanted: Type): string | null {
  return kind === "partition_key" || kind === "clustering" ? keyLoss(type, kind, wanted) : null;
}

function defaultType(column: CqlColumn, types: SourceContext["types"]): Type {
  const wanted = [...(types === "example" ? [exampleType(column.type)] : []), exactType(column.type)];
  return wanted.find((type) => lossOf(column, type) === null) ?? { kind: "STRING" };
}

interface ChangesOf {
  readonly cursor: string | null;
  readonly version: string | null;
  readonly notes: string[];
  readonly streamed?: true;
}

function changesOf(
  table: CqlTable,
  key: readonly string[],
  settings: CqlSettings,
  options: TableOptions,
  log: CdcLog | null,
): ChangesOf {
  const mode = settings.changes(table.name);
  if (mode === "stream" && log !== null) {
    const note = `Changes are read from its CDC log, which keeps them for ${log.keeps === Infinity ? "ever" : duration(log.keeps)}; a sweep each day finds rows that expired.`;
    return { cursor: null, version: versionColumn, notes: [note], streamed: true };
  }
  if (mode === "stream") {
    const found = byCursor(table, key, settings, options);
    const way = table.isView || isCounterTable(table) ? "can't have one" : `turn it on: ${enabling(table)}`;
    return { ...found, notes: [`It has no CDC log (${way}).`, ...found.notes] };
  }
  if (mode === "full") {
    return {
      cursor: null,
      version: null,
      notes: ["Read whole in each sync, and compared with the copy (changes: full)."],
    };
  }
  return mode === "writetime" ? byWriteTime() : byCursor(table, key, settings, options);
}

function byCursor(table: CqlTable, key: readonly string[], settings: CqlSettings, options: TableOptions): ChangesOf {
  if (isCounterTable(table)) return byWriteTime();
  const column = cursorOf(table, settings, options);
  if (column === null) {
    const why =
      options.cursor === null ? "It is read without a cursor column" : `It has no column "${settings.cursorColumn}"`;
    return { cursor: null, version: null, notes: [`${why}: read whole in each sync, and compared with the copy.`] };
  }
  const name = column.name;
  const isDate = column.type.kind === "date";
  const onlyInserts = insertOnly.test(name) || key.includes(name) || isDate;
  const version = onlyInserts ? versionColumn : name;
  const told = onlyInserts
    ? [
        `"${name}" shows only ${isDate ? "days" : "new rows"}; changes and deletes are found by sweeps over the write times of all cells.`,
      ]
    : [];
  const byIndex = hasRangeIndex(table, name);
  if (column.type.kind === "timestamp" && (byIndex || settings.allowFiltering)) {
    const way = byIndex ? "by its index" : "by ALLOW FILTERING, for which the server reads the table";
    return { cursor: name, version, notes: [`New values of "${name}" are read ${way}.`, ...told] };
  }
  const sweep = `No index serves ranges of "${name}": each sync sweeps over all keys with ${onlyInserts ? "their write times" : `"${name}"`}, and reads the rows that differ.`;
  return { cursor: null, version, notes: [sweep, ...told] };
}

function byWriteTime(): ChangesOf {
  const note = "Each sync sweeps over all keys with the write times of their cells, and reads the rows that differ.";
  return { cursor: null, version: versionColumn, notes: [note] };
}

/**
 * The cursor column: the one that the user set for this table, which must fit, else the configured one if it exists.
 */
function cursorOf(table: CqlTable, settings: CqlSettings, { cursor }: TableOptions): CqlColumn | null {
  if (cursor === null) return null;
  const wanted = cursor ?? settings.cursorColumn;
  const column = table.columns.find((candidate) => candidate.name === wanted);
  if (column !== undefined && cursorTypes.has(column.type.kind)) return column;
  if (cursor === undefined) return null;
  const what =
    column === undefined ? "does not exist" : `is a ${cqlTypeName(column.type)}, which can't show when a row changed`;
  throw new HeadwatersError("CURSOR_INVALID", `overrides: ${table.name}: cursor: column "${cursor}" ${what}`, {
    hint: `Columns that can: ${
      table.columns
        .filter((candidate) => cursorTypes.has(candidate.type.kind))
        .map((candidate) => candidate.name)
        .join(", ") || "none; set changes to writetime"
    }.`,
  });
}

function isCounterTable(table: CqlTable): boolean {
  return table.columns.some((column) => column.type.kind === "counter");
}
