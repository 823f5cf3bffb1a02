import { HeadwatersError } from "../../protocol/errors.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Source } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { hasColumnsOf, unite } from "../../toolkit/types.ts";
import { columnNames, type ColumnNames } from "./columns.ts";
import type { Connection, TableSettings } from "../connection.ts";

/**
 * A connection whose source knows columns by their names in the copy, and gives none that is not chosen, so that nothing
 * behind it needs to know of the choice. `discover` alone still shows the source as it is.
 */
export function withChosenColumns<Given extends Pick<Connection, "source" | "tables">>(connection: Given): Given {
  const { source, tables = {} } = connection;
  const chosen = new Map(
    Object.entries(tables)
      .filter(([, { columns, renameColumns }]) => columns !== undefined || renameColumns !== undefined)
      .map(([id, settings]: [string, TableSettings]) => [id, columnNames(settings)]),
  );
  return chosen.size === 0 ? connection : { ...connection, source: chosenSource(source, chosen) };
}

function chosenSource(source: Source, chosen: ReadonlyMap<string, ColumnNames>): Source {
  const native = (table: Table): Table => {
    const names = chosen.get(table.id);
    return names === undefined ? table : named(table, table.columns, names.toSource);
  };
  // A column under a name that the user gave up since is none of the source's.
  const seen = (table: Table): Table => {
    const names = chosen.get(table.id);
    return names === undefined
      ? table
      : native({ ...table, columns: table.columns.filter(({ name }) => names.isCopied(name)) });
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
      for await (const given of source.read(nativePass(pass), split, state, how)) {
        const operation = copied(given, chosen);
        if (operation.kind === "schema") {
          const { table } = operation;
          const before = known.get(table.id)!;
          // What needed more columns was not chosen: to who reads this nothing has changed.
          if (hasColumnsOf(before, table)) continue;
          known.set(table.id, unite(before, table));
        }
        yield operation;
      }
    },
    async *lookup(table, keys, how) {
      const names = chosen.get(table.id);
      const wanted = names === undefined ? keys : { ...keys, columns: keys.columns.map(names.toSource) };
      for await (const rows of source.lookup(native(table), wanted, how)) {
        yield names === undefined ? rows : chosenRows(rows, names);
      }
    },
    ...(source.acknowledge === undefined ? {} : { acknowledge: (split, state) => source.acknowledge!(split, state) }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

function copied(operation: Operation, chosen: ReadonlyMap<string, ColumnNames>): Operation {
  if (operation.kind === "checkpoint" || operation.kind === "truncate") return operation;
  const names = chosen.get(operation.kind === "schema" ? operation.table.id : operation.table);
  if (names === undefined) return operation;
  if (operation.kind !== "schema") return { ...operation, rows: chosenRows(operation.rows, names) };
  const { table } = operation;
  const columns = table.columns.filter(({ name }) => names.isChosen(name));
  const renamed = named(table, columns, names.toCopy);
  const twice = renamed.columns.findIndex(({ name }, index) =>
    renamed.columns.some((other, before) => before < index && other.name === name),
  );
  if (twice < 0) return { kind: "schema", table: renamed };
  throw new HeadwatersError(
    "NAMES_COLLIDE",
    `overrides.${table.id}.columns.rename: a column "${columns[twice]!.name}" was found, and another one is copied under that name`,
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

/** The vectors are shared: of rows that have nothing more only the names change. */
function chosenRows({ columns, values, length }: Rows, names: ColumnNames): Rows {
  const kept = columns.flatMap((name, index) => (names.isChosen(name) ? [index] : []));
  return {
    columns: kept.map((index) => names.toCopy(columns[index]!)),
    values: kept.map((index) => values[index]!),
    length,
  };
}
