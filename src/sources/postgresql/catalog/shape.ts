import { HeadwatersError } from "../../../protocol/errors.ts";
import type { SourceContext } from "../../../protocol/source.ts";
import type { TextColumns } from "../../../toolkit/text-columns.ts";
import { nearest } from "../../../toolkit/nearest.ts";
import type { CatalogColumn, CatalogTable } from "./catalog.ts";
import { conditionOf } from "../filter.ts";
import { typeName } from "../../../toolkit/types.ts";
import { losesKeys, type Mapping, mappingOf } from "../types.ts";

/** A column and how it is read. */
export interface ShapeColumn {
  readonly name: string;
  readonly nullable: boolean;
  readonly readable: boolean;
  readonly comment: string | null;
  readonly mapping: Mapping;
  /** The type that a literal is cast to before it is compared with the column. */
  readonly sql: string;
  /** The type's name in pg_catalog; `null`: the type is of another schema. */
  readonly builtin: string | null;
  /** Operators of pg_catalog can compare literals with the column, in the order of its index. */
  readonly ordered: boolean;
}

/** A table of the catalogs, with the user's options applied. */
export interface Shape {
  readonly catalog: CatalogTable;
  readonly columns: readonly ShapeColumn[];
  readonly key: readonly string[];
  /** The key comes from a unique index, because the table has no primary key. */
  readonly keyIsIndex: boolean;
  /** The cursor column. A table without a key has one too, but does not use it. */
  readonly cursor: string | null;
  /** The condition that selects rows, in parentheses; `null`: all rows are read. */
  readonly filter: string | null;
}

/** The default cursor column, as in the published example. */
const detectedCursor = "updated_at";
const cursorTypes: ReadonlySet<string> = new Set(["timestamptz", "timestamp", "date"]);

/** What decides how the columns of tables are read. */
export interface ShapeContext extends Pick<SourceContext, "tables" | "types"> {
  /** Columns that are read as text although they would be DECIMAL; absent: none. */
  readonly asText?: Pick<TextColumns, "has">;
}

/** Throws `CURSOR_INVALID` or `CONFIGURATION_INVALID` if the user's options don't fit the table. */
export function shapeOf(catalog: CatalogTable, { tables, types, asText }: ShapeContext): Shape {
  const options = tables[catalog.name] ?? {};
  const index = keyIndexOf(catalog);
  const key = index?.columns ?? [];
  const names = catalog.columns.map((column) => column.name);
  for (const name of Object.keys(options.types ?? {})) {
    if (!names.includes(name)) throw unknownColumn(catalog.name, name, names);
  }
  const columns = catalog.columns.map((column): ShapeColumn => {
    const wanted = options.types?.[column.name];
    const isKey = key.includes(column.name);
    if (isKey && wanted !== undefined && losesKeys(column.type, types, wanted)) {
      throw new HeadwatersError(
        "CONFIGURATION_INVALID",
        `types: table "${catalog.name}": column "${column.name}" is a ${column.type.sql} of the key, and two keys could become one as ${typeName(wanted)}`,
        { hint: "Set STRING, which keeps all keys apart, or leave it out." },
      );
    }
    const detected = mappingOf(column.type, types, wanted, isKey);
    const isText = detected.type.kind === "DECIMAL" && wanted === undefined && !isKey;
    const mapping =
      isText && asText?.has(catalog.name, column.name) === true
        ? mappingOf(column.type, types, { kind: "STRING" }, isKey)
        : detected;
    const builtin = column.type.schema === "pg_catalog";
    return {
      name: column.name,
      nullable: column.nullable,
      readable: column.readable,
      comment: column.comment,
      mapping,
      sql: column.type.sql,
      builtin: builtin ? column.type.name : null,
      ordered: mapping.reversible && (builtin || column.type.kind === "e"),
    };
  });
  return {
    catalog,
    columns,
    key,
    keyIsIndex: index?.primary === false,
    cursor: cursorOf(catalog, options.cursor),
    filter: conditionOf(catalog.name, options.filter),
  };
}

/** The index whose columns are the key. */
export function keyIndexOf({ indexes }: CatalogTable): CatalogTable["indexes"][number] | undefined {
  return indexes.find((candidate) => candidate.primary || candidate.identifies);
}

export function columnOf(shape: Shape, name: string): ShapeColumn {
  const column = shape.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw new HeadwatersError("TABLE_CHANGED", `table "${shape.catalog.name}": column "${name}" is gone`, {
    hint: "The table was altered since it was planned; it is planned again.",
  });
}

/** Whether an index can be walked in the order of this column. */
export function hasIndexOn(shape: Shape, column: string): boolean {
  return shape.catalog.indexes.some((index) => index.complete && index.hashed === 0 && index.columns[0] === column);
}

function cursorOf({ name, columns }: CatalogTable, wanted: string | null | undefined): string | null {
  if (wanted === null) return null;
  const candidates = columns.filter(canBeCursor).map((column) => column.name);
  if (wanted === undefined) return candidates.includes(detectedCursor) ? detectedCursor : null;
  if (candidates.includes(wanted)) return wanted;
  const exists = columns.some((column) => column.name === wanted);
  throw new HeadwatersError(
    "CURSOR_INVALID",
    `table "${name}": ${exists ? `column "${wanted}" is no timestamp or date` : `there is no column "${wanted}"`} to be the cursor`,
    {
      hint:
        candidates.length === 0
          ? "The table has no column of type timestamptz, timestamp or date; set its cursor to null."
          : `Columns that can be: ${candidates.join(", ")}.`,
    },
  );
}

function canBeCursor({ type }: CatalogColumn): boolean {
  return type.schema === "pg_catalog" && cursorTypes.has(type.name);
}

function unknownColumn(table: string, column: string, known: readonly string[]): HeadwatersError {
  const meant = nearest(column, known);
  return new HeadwatersError("CONFIGURATION_INVALID", `types: table "${table}" has no column "${column}"`, {
    hint: meant === null ? `Its columns are ${known.join(", ")}.` : `Did you mean "${meant}"?`,
  });
}
