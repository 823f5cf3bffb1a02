import type { Column, Table } from "../protocol/table.ts";
import type { Kind, Type } from "../protocol/types.ts";

/** Our types are the protocol's, except that it has no UUID, and that sources must not use its NAIVE_TIME. */
function sentType(type: Type): Type {
  return type.kind === "NAIVE_TIME" || type.kind === "UUID" ? { kind: "STRING" } : type;
}

/** The numbers of the protocol's `DataType`. */
const dataTypes: Readonly<Record<Kind, number>> = {
  UUID: 13,
  BOOLEAN: 1,
  SHORT: 2,
  INT: 3,
  LONG: 4,
  DECIMAL: 5,
  FLOAT: 6,
  DOUBLE: 7,
  NAIVE_DATE: 8,
  NAIVE_DATETIME: 9,
  UTC_DATETIME: 10,
  BINARY: 11,
  XML: 12,
  STRING: 13,
  JSON: 14,
  NAIVE_TIME: 15,
};

/** Columns that Headwaters adds for sweeps: they are not data. */
const ownColumn = /^_headwaters_/;

/** The columns of a table that are sent, with the types that they are sent as. */
export function sentColumns(table: Table): readonly Column[] {
  return table.columns
    .filter(({ name }) => !ownColumn.test(name))
    .map((column) => ({ ...column, type: sentType(column.type) }));
}

/** A table as the protocol describes it. */
export function tableMessage(table: Table): object {
  return {
    name: table.id,
    columns: sentColumns(table).map(({ name, type }) => ({
      name,
      type: dataTypes[type.kind],
      primaryKey: table.key.includes(name),
      ...(type.kind === "DECIMAL" ? { params: { decimal: { precision: type.precision, scale: type.scale } } } : {}),
    })),
  };
}
