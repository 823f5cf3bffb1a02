import { HeadwatersError } from "../../protocol/errors.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Source } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import { type Connection, tableSettings } from "../connection.ts";
import { type ColumnMapping, columnMapping } from "./columns.ts";

/**
 * A connection whose source has only the selected columns, under their names in the copy, so that nothing else needs the
 * mapping. Only `discover` still shows the source as it is.
 */
export function withProjection<Given extends Pick<Connection, "source" | "tables">>(connection: Given): Given {
  const { source, tables = {} } = connection;
  const isMapped = Object.values(tables).some((table) => (table.columns ?? table.renameColumns) !== undefined);
  return isMapped ? { ...connection, source: projectedSource(source, tables) } : connection;
}

function projectedSource(source: Source, tables: NonNullable<Connection["tables"]>): Source {
  const mapping = ({ id, key }: Table): ColumnMapping => {
    const settings = tableSettings({ tables }, id);
    const { toSource } = columnMapping(settings, []);
    return columnMapping(settings, key.map(toSource));
  };
  const native = (table: Table): Table => named(table, table.columns, mapping(table).toSource);
  // Columns of the copy under names that are no longer configured are unknown to the source.
  const seen = (table: Table): Table => {
    const { isCopied } = mapping(table);
    return native({ ...table, columns: table.columns.filter(({ name }) => isCopied(name)) });
  };
  const nativePass = (pass: Pass): Pass => ({ ...pass, tables: pass.tables.map(native) });

  return {
    check: (signal) => source.check(signal),
    discover: (signal, known = []) => source.discover(signal, known.map(seen)),
    plan: (tables, kind, previous, signal) => source.plan(tables.map(native), kind, previous, signal),
    async resume(pass, signal) {
      const resumed = await source.resume(nativePass(pass), signal);
      return resumed === null ? null : { ...resumed, tables: pass.tables };
    },
    async *read(pass, split, state, how) {
      const known = new Map(pass.tables.map((table) => [table.id, table]));
      const mappings = new Map(pass.tables.map((table) => [table.id, mapping(table)]));
      for await (const given of source.read(nativePass(pass), split, state, how)) {
        const operation = projected(given, mappings);
        if (operation.kind === "schema") {
          const { table } = operation;
          const before = known.get(table.id)!;
          // The new columns are not selected, so nothing has changed for the reader.
          if (hasColumnsOf(before, table)) continue;
          known.set(table.id, unite(before, table));
        }
        yield operation;
      }
    },
    async *lookup(table, keys, how) {
      const names = mapping(table);
      const nativeKeys = { ...keys, columns: keys.columns.map(names.toSource) };
      for await (const rows of source.lookup(native(table), nativeKeys, how)) yield projectedRows(rows, names);
    },
    ...(source.release === undefined ? {} : { release: (tables) => source.release!(tables) }),
    ...(source.acknowledge === undefined ? {} : { acknowledge: (split, state) => source.acknowledge!(split, state) }),
    ...(source.keepFrom === undefined ? {} : { keepFrom: (next, signal) => source.keepFrom!(next, signal) }),
    ...(source.changed === undefined
      ? {}
      : { changed: (within, among, signal) => source.changed!(within, among, signal) }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

function projected(operation: Operation, mappings: ReadonlyMap<string, ColumnMapping>): Operation {
  if (operation.kind === "checkpoint" || operation.kind === "truncate") return operation;
  const names = mappings.get(operation.kind === "schema" ? operation.table.id : operation.table);
  if (names === undefined) return operation;
  if (operation.kind !== "schema") return { ...operation, rows: projectedRows(operation.rows, names) };
  const { table } = operation;
  const columns = table.columns.filter(({ name }) => names.isSelected(name));
  const renamed = named(table, columns, names.toCopy);
  const twice = renamed.columns.findIndex(({ name }, index) =>
    renamed.columns.some((other, before) => before < index && other.name === name),
  );
  if (twice < 0) return { kind: "schema", table: renamed };
  throw new HeadwatersError(
    "NAMES_COLLIDE",
    `overrides.${table.id}.columns.rename: a column "${columns[twice]!.name}" was found, but another one is copied under that name`,
    { hint: "Give one of them another name." },
  );
}

function named(table: Table, columns: Table["columns"], name: (name: string) => string): Table {
  return {
    ...table,
    columns: columns.map((column) => ({ ...column, name: name(column.name) })),
    key: table.key.map(name),
    cursor: table.cursor === null ? null : name(table.cursor),
    version: table.version === null ? null : name(table.version),
  };
}

/** Leaves columns out and renames the others; their vectors are shared. */
function projectedRows({ columns, values, length }: Rows, names: ColumnMapping): Rows {
  const kept = columns.flatMap((name, index) => (names.isSelected(name) ? [index] : []));
  return {
    columns: kept.map((index) => names.toCopy(columns[index]!)),
    values: kept.map((index) => values[index]!),
    length,
  };
}
