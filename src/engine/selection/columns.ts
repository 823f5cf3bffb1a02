import { HeadwatersError } from "../../protocol/errors.ts";
import type { Column, Table } from "../../protocol/table.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { isPattern, matches, selects } from "../../toolkit/patterns.ts";
import type { TableSettings } from "../connection.ts";

/** Columns that Headwaters' sources add (a version): patterns do not apply to them. */
const added = /^_headwaters_/;

/**
 * The most columns that a source may infer from rows. If the names of fields are data (dates, ids), each would become a
 * column: every batch takes memory for all columns, and every new one alters the copy.
 */
const mostInferredColumns = 1_000;

/** Throws `COLUMNS_TOO_MANY` if a table has more columns than may be inferred. */
export function checkColumnCount({ id, columns }: Table): void {
  if (columns.length <= mostInferredColumns) return;
  throw new HeadwatersError(
    "COLUMNS_TOO_MANY",
    `table "${id}": its rows have ${columns.length} fields, but at most ${mostInferredColumns} can become columns`,
    {
      hint: `Select fields with overrides.${id}.columns.include, or leave some out (columns.exclude accepts patterns). If the names of fields are data, put them into one field at the source: it is copied as JSON.`,
    },
  );
}

/** The names of a table's columns on both sides, and which of them are selected. */
export interface ColumnMapping {
  /** By its name in the source. */
  isSelected(name: string): boolean;
  /** By its name in the copy: whether a selected column has that name now. */
  isCopied(name: string): boolean;
  toCopy(name: string): string;
  toSource(name: string): string;
}

/** `key`: names of the key columns in the source. */
export function columnMapping({ columns, renameColumns = {} }: TableSettings, key: readonly string[]): ColumnMapping {
  const copies = new Map(Object.entries(renameColumns));
  const sources = new Map([...copies].map(([source, copy]) => [copy, source]));
  const stays = (name: string): boolean => added.test(name) || (columns?.others !== undefined && key.includes(name));
  const isSelected = (name: string): boolean => columns === undefined || stays(name) || selects(columns, name);
  const toCopy = (name: string): string => copies.get(name) ?? name;
  const toSource = (name: string): string => sources.get(name) ?? name;
  return {
    isSelected,
    isCopied: (name) => isSelected(toSource(name)) && toCopy(toSource(name)) === name,
    toCopy,
    toSource,
  };
}

/**
 * A table of the source as it is copied: without the columns that are left out, the others under their names in the
 * copy. Throws `CONFIGURATION_INVALID` if the settings don't fit the table, and `NAMES_COLLIDE`.
 *
 * `inferred`: columns that are not known yet may still come.
 */
export function projectedTable(table: Table, settings: TableSettings, inferred: boolean): Table {
  const { mode, filter, columns, renameColumns } = settings;
  if ([mode, filter, columns, renameColumns].every((setting) => setting === undefined)) return table;
  const names = columnMapping(settings, table.key);
  const notes = checkNames(table, settings, inferred);
  const kept = table.columns.filter(({ name }) => names.isSelected(name));
  const [cursor, version] = mode === "full" ? [null, null] : [table.cursor, table.version];
  checkKept(table, kept, columns?.others === undefined ? [cursor, version] : []);
  if (mode === "incremental") checkIncremental(table);
  if (mode === "full") notes.push("Read whole in each sync, and compared with the copy (mode: full).");
  if (filter !== undefined)
    notes.push("Only rows that match its filter are copied; sweeps find those that no longer match.");
  const renamed = kept.map((column): Column => ({ ...column, name: names.toCopy(column.name) }));
  checkCollisions(table, kept, renamed);
  const toCopy = (name: string | null): string | null => (name === null ? null : names.toCopy(name));
  const { streamed, ...rest } = table;
  return {
    ...rest,
    ...(streamed === true && mode !== "full" ? { streamed } : {}),
    columns: renamed,
    key: table.key.map(names.toCopy),
    cursor: toCopy(cursor),
    version: toCopy(version),
    // How many rows match a filter is unknown.
    estimatedRows: filter === undefined ? table.estimatedRows : null,
    notes: [...table.notes, ...notes],
  };
}

/** Configured columns that do not exist: an error or, where columns are inferred, notes. */
function checkNames(table: Table, { columns, renameColumns = {} }: TableSettings, inferred: boolean): string[] {
  if (columns?.others !== undefined) return [];
  const known = table.columns.map(({ name }) => name).filter((name) => !added.test(name));
  const setting = `overrides.${table.id}.columns`;
  const configured: readonly (readonly [setting: string, text: string])[] = [
    ...(columns?.include ?? []).map((text) => [`${setting}.include`, text] as const),
    // A pattern that matches nothing yet may be a precaution.
    ...(columns?.exclude ?? []).filter((text) => !isPattern(text)).map((text) => [`${setting}.exclude`, text] as const),
    ...Object.keys(renameColumns).map((text) => [`${setting}.rename`, text] as const),
  ];
  const missing = configured.filter(
    ([, text]) => !known.some((name) => name === text || (isPattern(text) && matches(text, name))),
  );
  const told = missing.map(([where, text]) => {
    const meant = nearest(text, known);
    const what = isPattern(text) ? `no column matches "${text}"` : `there is no column "${text}"`;
    return { where, what, meant };
  });
  if (inferred) {
    return told.map(
      ({ where, what, meant }) => `${where}: so far ${what}${meant === null ? "." : `; did you mean "${meant}"?`}`,
    );
  }
  const [first] = told;
  if (first === undefined) return [];
  throw new HeadwatersError("CONFIGURATION_INVALID", `${first.where}: in table "${table.id}" ${first.what}`, {
    hint: first.meant === null ? `Its columns are ${known.join(", ")}.` : `Did you mean "${first.meant}"?`,
  });
}

function checkKept(table: Table, kept: readonly Column[], changes: readonly (string | null)[]): void {
  const isLeftOut = (name: string): boolean => !kept.some((column) => column.name === name);
  const refuse = (what: string, hint: string): never => {
    throw new HeadwatersError("CONFIGURATION_INVALID", `overrides.${table.id}.columns: ${what}`, { hint });
  };
  const key = table.key.find(isLeftOut);
  if (key !== undefined) {
    refuse(
      `"${key}" is left out, but it is part of the table's key`,
      `The key is ${table.key.map((name) => `"${name}"`).join(", ")}: keep all of it, or leave the whole table out.`,
    );
  }
  const change = changes.find((name) => name !== null && isLeftOut(name));
  if (change !== undefined) {
    refuse(
      `"${change}" is left out, but it shows which rows changed`,
      `Keep it, name another column with overrides.${table.id}.cursor, or set overrides.${table.id}.mode to full.`,
    );
  }
  if (kept.every(({ name }) => added.test(name)))
    refuse("no column is left", "Keep at least one, or leave the whole table out.");
}

function checkIncremental({ id, key, cursor, version }: Table): void {
  const refuse = (why: string, hint: string): never => {
    const message = `overrides.${id}.mode: the table can't be incremental: ${why}`;
    throw new HeadwatersError("CONFIGURATION_INVALID", message, { hint });
  };
  if (key.length === 0) refuse("it has no key", "Leave mode out.");
  if (cursor === null && version === null) {
    refuse("no column shows what changed", `Name its cursor column with overrides.${id}.cursor, or leave mode out.`);
  }
}

function checkCollisions(table: Table, kept: readonly Column[], renamed: readonly Column[]): void {
  for (const [index, { name }] of renamed.entries()) {
    const first = renamed.findIndex((other) => other.name === name);
    if (first === index) continue;
    throw new HeadwatersError(
      "NAMES_COLLIDE",
      `overrides.${table.id}.columns.rename: columns "${kept[first]!.name}" and "${kept[index]!.name}" would both be "${name}"`,
      { hint: "Give one of them another name." },
    );
  }
}
