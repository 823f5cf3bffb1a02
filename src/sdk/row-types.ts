import type { Kind } from "../protocol/types.ts";

/** A type as it is declared: `LONG`, `DECIMAL(12,2)`; `DECIMAL` alone is DECIMAL(38,0). */
export type TypeName = Kind | `DECIMAL(${number})` | `DECIMAL(${number},${number})` | `DECIMAL(${number}, ${number})`;

/** A table that a source fills. */
export interface TableDefinition {
  /** Names of the columns that identify a row, in key order. At least one. */
  readonly key: readonly string[];
  /** Type by column. Left out: the columns and their types are inferred from the values. */
  readonly columns?: Readonly<Record<string, TypeName>>;
  /** Whether columns besides the declared ones are inferred. Default: `true` if `columns` is left out. */
  readonly infer?: boolean;
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
type ColumnsOf<Of extends TableDefinition> = Of extends { readonly columns: infer Columns } ? Columns : NoColumns;
type KeyOf<Of extends TableDefinition> = Of["key"][number];
type ValueIn<Columns, Name extends keyof Columns> = Columns[Name] extends TypeName ? ValueOf<Columns[Name]> : unknown;
type Inferred<Of extends TableDefinition> = Of extends { readonly infer: true }
  ? { readonly [column: string]: unknown }
  : Of extends { readonly columns: object }
    ? NoColumns
    : { readonly [column: string]: unknown };

/** One object type instead of an intersection: editors show it better. */
type Plain<Type> = { readonly [Name in keyof Type]: Type[Name] };

/** The key columns of a row, each with a value. If they are known only at run time, any column may be one. */
export type Key<Of extends TableDefinition> =
  string extends KeyOf<Of>
    ? { readonly [column: string]: unknown }
    : Plain<{
        readonly [Name in KeyOf<Of>]: Name extends keyof ColumnsOf<Of>
          ? NonNullable<ValueIn<ColumnsOf<Of>, Name>>
          : NonNullable<unknown>;
      }>;

/** A row: its key, and other columns that have values. Columns that are left out of an upsert become NULL. */
export type Row<Of extends TableDefinition> = Plain<
  Key<Of> & {
    readonly [Name in Exclude<keyof ColumnsOf<Of>, KeyOf<Of>>]?: ValueIn<ColumnsOf<Of>, Name> | null | undefined;
  } & Inferred<Of>
>;
