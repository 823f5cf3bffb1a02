import type { Kind } from "../protocol/types.ts";

/** A type as it is declared: `LONG`, `DECIMAL(12,2)`; `DECIMAL` alone is DECIMAL(38,0). */
export type TypeName = Kind | `DECIMAL(${number})` | `DECIMAL(${number},${number})` | `DECIMAL(${number}, ${number})`;

interface Columns {
  /** Type by column. Left out: the columns and their types are inferred from the values. */
  readonly columns?: Readonly<Record<string, TypeName>>;
  /** Whether columns besides the declared ones are inferred. Default: `true` if `columns` is left out. */
  readonly infer?: boolean;
  /** Lists in the row whose items become rows of a table of their own, by the lists' names in the row. */
  readonly lists?: Readonly<Record<string, ListDefinition>>;
}

/** A table that a source fills. */
export interface TableDefinition extends Columns {
  /** Names of the columns that identify a row, in key order. At least one. */
  readonly key: readonly string[];
}

/**
 * A list whose items become rows of a table of their own. They are written, replaced and deleted with the row that has the
 * list.
 */
export interface ListDefinition extends Columns {
  /** The name of the items' table. Default: that of the row's table, `_`, the list: `orders_lines`. */
  readonly table?: string;
  /**
   * Names of the columns that hold the key of the row that has the list, in the order of that key. They are the first part
   * of the items' key. Default: the row's table, `_`, the column: `orders_id`; columns that hold a key already keep their names.
   */
  readonly parent?: readonly string[];
  /** The columns that tell the items of one list apart. Left out: a column `position` counts them, from 0. */
  readonly key?: readonly string[];
}

/** Tables by name. */
export type Tables = Readonly<Record<string, TableDefinition>>;

/** The JavaScript values that a column of each type takes. */
interface ValueOfKind {
  readonly BOOLEAN: boolean;
  readonly SHORT: number;
  readonly INT: number;
  readonly LONG: number | bigint;
  readonly DECIMAL: string | number | bigint;
  readonly FLOAT: number;
  readonly DOUBLE: number;
  readonly NAIVE_DATE: string;
  readonly NAIVE_TIME: string;
  readonly NAIVE_DATETIME: string;
  readonly UTC_DATETIME: Date | string;
  readonly BINARY: Uint8Array;
  readonly UUID: string;
  readonly XML: string;
  readonly STRING: string;
  /** Anything that `JSON.stringify` takes. */
  readonly JSON: unknown;
}

type ValueOf<Name extends TypeName> = ValueOfKind[Name extends Kind ? Name : "DECIMAL"];

type NoColumns = Readonly<Record<never, never>>;
type ColumnsOf<Of extends Columns> = Of extends { readonly columns: infer Declared } ? Declared : NoColumns;
type KeyOf<Of extends Columns> = Of extends { readonly key: readonly (infer Name extends string)[] } ? Name : never;
type ValueIn<Columns, Name extends keyof Columns> = Columns[Name] extends TypeName ? ValueOf<Columns[Name]> : unknown;
/** Without NULL, which only what is unknown may be. */
type Present<Value> = unknown extends Value ? NonNullable<Value> : Value;

type Inferred<Of extends Columns> = Of extends { readonly infer: true }
  ? { readonly [column: string]: unknown }
  : Of extends { readonly columns: object }
    ? NoColumns
    : { readonly [column: string]: unknown };

/**
 * One object type instead of an intersection. A mapped type would be shown by its name, with all that it was made of; what a
 * conditional type leads to is shown as it is.
 */
type Plain<Type> = Type extends infer Whole ? { readonly [Name in keyof Whole]: Whole[Name] } : never;

/** The key columns of a row, each with a value. If they are known only at run time, any column may be one. */
export type Key<Of extends Columns> =
  string extends KeyOf<Of>
    ? { readonly [column: string]: unknown }
    : Plain<{
        readonly [Name in KeyOf<Of>]: Name extends keyof ColumnsOf<Of>
          ? Present<ValueIn<ColumnsOf<Of>, Name>>
          : NonNullable<unknown>;
      }>;

type Others<Of extends Columns> = {
  readonly [Name in Exclude<keyof ColumnsOf<Of>, KeyOf<Of>>]?: ValueIn<ColumnsOf<Of>, Name> | null | undefined;
};

type ListsOf<Of extends Columns> = Of extends { readonly lists: infer Lists extends NonNullable<Columns["lists"]> }
  ? { readonly [Name in keyof Lists]?: readonly Row<Lists[Name]>[] | null | undefined }
  : NoColumns;

/** A row: its key, and other columns and lists that have values. What is left out of an upsert becomes NULL, or empty. */
export type Row<Of extends Columns> = Plain<Key<Of> & Others<Of> & ListsOf<Of> & Inferred<Of>>;

/** The key of a row, and columns that change. */
export type Part<Of extends Columns> = Plain<Key<Of> & Others<Of> & Inferred<Of>>;
