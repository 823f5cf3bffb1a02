import { HeadwatersError } from "../../../protocol/errors.ts";
import type { TableOptions } from "../../../protocol/source.ts";
import type { Column, Table } from "../../../protocol/table.ts";
import type { Kind, Type } from "../../../protocol/types.ts";
import { selects } from "../../../toolkit/patterns.ts";
import { typeName } from "../../../toolkit/types.ts";
import type { Configuration } from "../config.ts";
import { fieldTypes } from "./field-values.ts";
import { globOf, parsePattern, type PatternPart } from "./key-pattern.ts";
import type { NativeType } from "../types.ts";
import { versionColumn } from "../values/version-column.ts";

/** How keys become rows of an expanded table. */
export interface Expanded {
  readonly id: string;
  readonly parts: readonly PatternPart[];
  readonly glob: Buffer;
  readonly keyColumns: readonly string[];
  /** Every field that is found becomes a column. */
  readonly open: boolean;
  /** The declared columns: the type of each, by its field (or path). */
  readonly declared: ReadonlyMap<string, Kind>;
  readonly columns: readonly Column[];
  /** Changes if the same keys would make other rows; all rows are then read again. */
  readonly identity: string;
  /** Whether the user selected a column that is found. */
  isChosen(column: string): boolean;
  /** The field that a column is read from. */
  fieldOf(column: string): string;
  /** The column for a new field: JSON for documents, else STRING. */
  column(field: string, type: NativeType): Column;
}

/** Appended to the name of a field that has the same name as a key column. */
const beside = "_field";

/** Throws `CONFIGURATION_INVALID` if names or types do not fit. */
export function expandedOf(
  id: string,
  { pattern, columns: declared }: Configuration["tables"][string],
  options: TableOptions | undefined,
): Expanded {
  const parts = parsePattern(pattern);
  const keyColumns = parts.flatMap((part) => ("column" in part ? [part.column] : []));
  const typed = (name: string, type: Type): Column => {
    const wanted = options?.types?.[name] ?? type;
    if (fieldTypes[wanted.kind] !== undefined) return { name, type: wanted, nullable: true };
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `tables.${id}: column "${name}" can't be of type ${typeName(wanted)}`,
      {
        hint: `It can be ${Object.keys(fieldTypes).join(", ")}.`,
      },
    );
  };
  const taken = Object.keys(declared ?? {}).find((name) => keyColumns.includes(name) || name === versionColumn.name);
  if (taken !== undefined) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `tables.${id}.columns: "${taken}" is the name of a key column`, {
      hint: `Give it another name, and name the field under from: { from: ${taken}, type: STRING }.`,
    });
  }
  const fields = new Map(Object.entries(declared ?? {}).map(([name, { from }]) => [name, from ?? name] as const));
  const names = [...fields.keys()];
  const second = names.find(
    (name, index) => names.findIndex((other) => fields.get(other) === fields.get(name)) < index,
  );
  if (second !== undefined) {
    const first = names.find((name) => fields.get(name) === fields.get(second));
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `tables.${id}.columns: "${first}" and "${second}" both take the field "${fields.get(second)}"`,
      { hint: "A field becomes one column: leave one of them out." },
    );
  }
  const own = Object.entries(declared ?? {}).map(([name, { type }]) => typed(name, type));
  return {
    id,
    parts,
    glob: globOf(parts),
    keyColumns,
    open: declared === undefined,
    declared: new Map(own.map(({ name, type }) => [fields.get(name)!, type.kind])),
    identity: identityOf(own, fields, declared === undefined ? options : undefined),
    columns: [
      ...keyColumns.map((name): Column => ({ name, type: { kind: "STRING" }, nullable: false })),
      ...own,
      versionColumn,
    ],
    isChosen: (column) => options?.columns === undefined || selects(options.columns, column),
    fieldOf(column) {
      const besides = column.endsWith(beside) && keyColumns.includes(column.slice(0, -beside.length));
      return fields.get(column) ?? (besides ? column.slice(0, -beside.length) : column);
    },
    column(field, type) {
      const name = keyColumns.includes(field) ? field + beside : field;
      return typed(name, { kind: type.dataType === "json" ? "JSON" : "STRING" });
    },
  };
}

/** Names, fields and types of the configured columns, sorted. */
function identityOf(
  own: readonly Column[],
  fields: ReadonlyMap<string, string>,
  options: TableOptions | undefined,
): string {
  const types = [...own.map(({ name, type }) => [name, type] as const), ...Object.entries(options?.types ?? {})];
  const columns = types.map(([name, type]) => [name, fields.get(name) ?? name, typeName(type)]).sort();
  return columns.length === 0 ? "keys" : `keys ${JSON.stringify(columns)}`;
}

/** The table as far as it is known without reading a key. */
export function expandedTable(expanded: Expanded, options: TableOptions | undefined): Table {
  if (options?.cursor !== undefined && options.cursor !== null) {
    throw new HeadwatersError(
      "CURSOR_INVALID",
      `overrides.${expanded.id}.cursor: keys can't be looked up by the value of "${options.cursor}"`,
      {
        hint: "Leave the cursor out: changes are found by comparing all rows with the copy.",
      },
    );
  }
  return {
    id: expanded.id,
    columns: expanded.columns,
    key: expanded.keyColumns,
    identity: expanded.identity,
    cursor: null,
    version: versionColumn.name,
    estimatedRows: null,
    notes: [
      expanded.open
        ? "Columns are the fields that are found: those of a sample now, others as they appear."
        : "Columns are those of the configuration; other fields are not copied.",
    ],
  };
}
