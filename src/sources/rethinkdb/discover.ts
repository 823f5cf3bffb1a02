import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { SourceContext } from "../../protocol/source.ts";
import type { Column, Table } from "../../protocol/table.ts";
import type { ReqlConnection } from "../../wire/reql/connection.ts";
import { isRounded } from "../../wire/reql/document.ts";
import { datum, term } from "../../wire/reql/terms.ts";
import { typeName } from "../../toolkit/types.ts";
import { type Described, keyRange, plainIndexes, tableTerm } from "./catalog.ts";
import { isIndexMissing } from "./errors.ts";
import { FieldNames, fieldOf, versionColumn } from "./documents/fields.ts";
import { emptyClass, identityOf, keyClass, keyKind } from "./keys.ts";
import { inferColumns, outline, type Sampled } from "./documents/sample.ts";
import { cutKeys } from "./splits.ts";
import { isMoment, madeFields, timestampFields } from "./timestamps/timestamps.ts";
import { isKind } from "./types.ts";

/** Documents that are sampled at each place of a table. */
const sampleRows = 200;
/** Bytes of answers per place, after which sampling stops there. */
const sampleBytes = 1 << 20;
/** Places in a table: the first keys, the last keys, and some in between. */
const samplePlaces = 5;
/** Without an index, a window reads as many documents in the server as a full pass: from here on, a note says so. */
const largeRows = 100_000;

/**
 * Describes a table from the server's answer and a sample of its documents. `before`: earlier descriptions of a table
 * of this name. Their names are kept, because the copy has them. Their timestamp is kept too, because another timestamp
 * would need another copy.
 */
export async function discoverTable(
  connection: ReqlConnection,
  database: string,
  described: Described,
  context: SourceContext,
  before: readonly Table[],
  signal: AbortSignal,
): Promise<Table> {
  const { name, id, primaryKey, estimatedRows, assumed } = described;
  const from = tableTerm(database, name);
  const range = await keyRange(connection, from, primaryKey, signal).catch((thrown: unknown) => {
    throw assumed !== null && isIndexMissing(thrown) ? wronglyAssumed(name, assumed) : thrown;
  });
  const sample = range === null ? [] : await sampleOf(connection, from, primaryKey, range, signal);
  const options = context.tables[name];
  checkTypes(name, primaryKey, options?.types);
  const of = range === null ? emptyClass(before) : keyClass(range);
  const keys = range === null ? [] : [range.first, range.last, ...sample.map((row) => row[primaryKey] ?? null)];
  const key: Column = { name: primaryKey, type: { kind: keyKind(of, keys) }, nullable: false };
  const names = new FieldNames();
  names.add([key, versionColumn, ...before.flatMap(({ columns }) => columns)]);
  const indexes = await plainIndexes(connection, from, signal);
  const identity = identityOf(id, of);
  const same = before.filter((table) => table.identity === identity);
  const detected = timestampOf(sample, indexes);
  const kept = keptTimestamp(same, sample) ?? detected;
  const cursorField = options?.cursor === undefined ? kept : options.cursor;
  const inferred = inferColumns(sample, primaryKey, names, context, name);
  const cursor = cursorField === null ? null : names.columnOf(cursorField);
  const seen =
    cursor === null || inferred.some((column) => column.name === cursor) || cursor === primaryKey
      ? inferred
      : // The user set it or the copy has it, but no document of the sample does.
        [...inferred, { name: cursor, type: options?.types?.[cursor] ?? typeBefore(same, cursor), nullable: true }];
  return {
    id: name,
    columns: [key, ...seen, ...(cursor === null ? [] : [versionColumn])],
    key: [primaryKey],
    identity,
    cursor,
    version: cursor === null ? null : versionColumn.name,
    estimatedRows,
    notes: [
      ...(assumed !== null ? [`The server does not report the primary key; it is assumed to be "id".`] : []),
      ...(of === "mixed" ? ["Its keys are of several types or arrays: the key column has them as JSON."] : []),
      ...cursorNotes(cursorField, indexes, estimatedRows, options?.cursor !== undefined),
      ...(cursorField !== detected && options?.cursor === undefined ? [keptNote(name, cursorField, detected)] : []),
      ...momentNotes(cursorField, sample),
      ...sampleNotes(sample, estimatedRows),
    ],
  };
}

function wronglyAssumed(table: string, reason: string): HeadwatersError {
  return new HeadwatersError(
    "SOURCE_FAILED",
    `table "${table}": the server does not report its primary key (${reason}), and it is not "id"`,
    { hint: `Find out why r.table(${JSON.stringify(table)}).info() fails, or leave the table out (tables.exclude).` },
  );
}

/** A table that is unknown and can't be examined now. It is listed, so that only this table fails when it is read. */
export function unseenTable(id: string, { message }: HeadwatersError): Table {
  const key: Column = { name: "id", type: { kind: "STRING" }, nullable: false };
  const notes = [`It can't be looked at: ${message}.`];
  const nothing = { cursor: null, version: null, estimatedRows: null };
  return { id, columns: [key], key: [key.name], identity: "", ...nothing, notes };
}

/** Documents from several places of the key range; the same ones each time, as long as they exist. */
async function sampleOf(
  connection: ReqlConnection,
  from: ReturnType<typeof tableTerm>,
  primaryKey: string,
  range: { readonly first: Json; readonly last: Json },
  signal: AbortSignal,
): Promise<readonly Sampled[]> {
  const ascending = { index: term("ASC", [primaryKey]) };
  const queries = [
    term("ORDER_BY", [from], ascending),
    term("ORDER_BY", [from], { index: term("DESC", [primaryKey]) }),
    ...cutKeys(range, samplePlaces - 1)
      .slice(1)
      .map(({ low }) => term("ORDER_BY", [term("BETWEEN", [from, datum(low), term("MAXVAL")])], ascending)),
  ];
  const documents = new Map<string, Sampled>();
  // In sequence, and reduced to outlines: documents may have many megabytes, and several tables are examined.
  for (const query of queries) {
    let bytes = 0;
    for await (const { text } of connection.answers(
      term("LIMIT", [query, sampleRows]),
      { min_batch_rows: 1 },
      signal,
    )) {
      for (const document of (JSON.parse(text.toString()) as { readonly r: readonly Sampled[] }).r)
        documents.set(JSON.stringify(document[primaryKey]), outline(document));
      bytes += text.length;
      if (bytes >= sampleBytes) break;
    }
  }
  return [...documents.values()];
}

/** The first known field that holds a moment in any document of the sample, or that has an index. */
function timestampOf(sample: readonly Sampled[], indexes: ReadonlyMap<string, string>): string | null {
  const tells = (field: string): boolean => indexes.has(field) || sample.some((row) => isMoment(row[field] ?? null));
  return timestampFields.find(tells) ?? null;
}

/**
 * The timestamp of the copy, as long as any document of the sample has the field. Otherwise the table would be read
 * whole whenever the sample shows another timestamp. A field that is not among the known ones was set by the user, who
 * may have removed the setting.
 */
function keptTimestamp(before: readonly Table[], sample: readonly Sampled[]): string | null {
  const [field] = before.flatMap(({ cursor }) => (cursor === null ? [] : [fieldOf(cursor)]));
  if (field === undefined || !timestampFields.includes(field)) return null;
  return sample.length === 0 || sample.some((row) => Object.hasOwn(row, field)) ? field : null;
}

function typeBefore(before: readonly Table[], column: string): Column["type"] {
  const known = before.flatMap(({ columns }) => columns).find(({ name }) => name === column);
  return known?.type ?? { kind: "UTC_DATETIME" };
}

function keptNote(table: string, kept: string | null, detected: string | null): string {
  const now = detected === null ? "no document of the sample has a time there" : `"${detected}" would be chosen now`;
  return `"${kept}" is kept as its timestamp, because the copy uses it; ${now}. overrides.${table}.cursor sets another, and the table is then read whole.`;
}

function checkTypes(table: string, primaryKey: string, types: Readonly<Record<string, Column["type"]>> = {}): void {
  for (const [column, type] of Object.entries(types)) {
    const setting = `tables.${table}.types.${column}`;
    if (column === primaryKey) {
      throw new HeadwatersError("CONFIGURATION_INVALID", `${setting}: the type of the primary key can't be set`, {
        hint: "Leave it out: keys keep the type that they have.",
      });
    }
    if (isKind(type.kind)) continue;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${setting}: no value of RethinkDB can be ${typeName(type)}`, {
      hint: "Set BOOLEAN, INT, DOUBLE, STRING, UTC_DATETIME, BINARY or JSON.",
    });
  }
}

function cursorNotes(
  field: string | null,
  indexes: ReadonlyMap<string, string>,
  rows: number | null,
  chosen: boolean,
): string[] {
  if (field === null) {
    const none = `No document of the sample has ${timestampFields.join(", ")} with a time: each sync reads the table fully.`;
    return chosen ? [] : [none];
  }
  const notes: string[] = [];
  if (madeFields.has(field)) {
    notes.push(
      `"${field}" shows new documents; changes that do not set it are found by sweeps, which read the whole table.`,
    );
  }
  const index = indexes.get(field);
  if (index !== undefined) notes.push(`Windows are read through the index "${index}".`);
  else if ((rows ?? 0) >= largeRows) {
    notes.push(
      `No index has "${field}": for each window the server goes over the whole table. r.table(…).indexCreate(${JSON.stringify(field)}) makes one.`,
    );
  }
  return notes;
}

/** Notes on documents that windows do not see. */
function momentNotes(field: string | null, sample: readonly Sampled[]): string[] {
  if (field === null) return [];
  const without = sample.filter((row) => !isMoment(row[field] ?? null)).length;
  if (without === 0) return [];
  return [
    `In ${without} of ${sample.length} documents of the sample "${field}" is missing or not a moment: such documents are found by sweeps.`,
  ];
}

/** Whole numbers past 2⁵³ are already rounded when they are read. */
function sampleNotes(sample: readonly Sampled[], rows: number | null): string[] {
  const rounded = new Set<string>();
  for (const document of sample) {
    for (const [field, value] of Object.entries(document))
      if (typeof value === "number" && isRounded(value)) rounded.add(field);
  }
  const seen = `Columns are those of ${sample.length} documents; others are added as they are seen.`;
  return [
    ...(rows === null || rows > sample.length ? [seen] : []),
    ...(rounded.size === 0
      ? []
      : [
          `${[...rounded].map((field) => `"${field}"`).join(", ")}: whole numbers beyond 2^53 were rounded when RethinkDB stored them.`,
        ]),
  ];
}
