import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import { nearest } from "../../toolkit/nearest.ts";
import { isPattern, matches, selects } from "../../toolkit/patterns.ts";
import { checkColumnCount, projectedTable } from "./columns.ts";
import { type Connection, settingsOf, tableSettings } from "../connection.ts";

/** The selected tables of the source. */
export interface Selected {
  /** With the selected columns, under their names in the copy. */
  readonly tables: readonly Table[];
  /** Selected tables that the source can't describe, or whose settings don't fit them. */
  readonly refused: ReadonlyMap<string, HeadwatersError>;
}

export type Selecting = Pick<Connection, "selection" | "tables" | "capabilities" | "log">;

/**
 * Selects among the tables of the source. `vanished`: tables that no longer exist but have a copy, so that naming them is
 * no mistake. Throws `TABLE_UNKNOWN` for a name or pattern that no table matches, and `NO_TABLES` if none is selected.
 */
export function select(
  discovered: readonly Table[],
  connection: Selecting,
  vanished: readonly string[] = [],
): Selected {
  const { selection, tables: settings = {} } = connection;
  const known = discovered.map(({ id }) => id);
  checkNames(known, vanished, connection);
  const selected = discovered.filter(({ id }) => selects(selection, id));
  if (selected.length === 0 && vanished.length === 0) {
    throw new HeadwatersError("NO_TABLES", "no table is selected", {
      hint:
        discovered.length === 0
          ? "The source has no table that this user may read."
          : `Change tables.include or tables.exclude; the source has ${listed(known)}.`,
    });
  }
  const tables: Table[] = [];
  const refused = new Map<string, HeadwatersError>();
  for (const table of selected) {
    try {
      checkCopyName(table.id, [...selected.map(({ id }) => id), ...vanished], settings);
      tables.push(projectTable(table, connection));
    } catch (thrown) {
      refused.set(table.id, asHeadwatersError(thrown));
    }
  }
  return { tables, refused };
}

/** A table of the source as it is copied. Throws if the source refused it, or if its settings don't fit it. */
export function projectTable(table: Table, connection: Pick<Connection, "tables" | "capabilities">): Table {
  if (table.refused !== undefined) throw table.refused;
  const inferred = connection.capabilities.schema === "inferred";
  const projected = projectedTable(table, tableSettings(connection, table.id), inferred);
  if (inferred) checkColumnCount(projected);
  return projected;
}

/** The selected tables that a command works on: all of them, unless it names some. Throws `TABLE_UNKNOWN`. */
export function narrowTo(selected: readonly string[], only: readonly string[]): readonly string[] {
  const unknown = only.find((name) => !selected.includes(name));
  if (unknown !== undefined) {
    throw new HeadwatersError("TABLE_UNKNOWN", `--tables: "${unknown}" is not among the selected tables`, {
      hint: `The selected tables are ${selected.join(", ")}.`,
    });
  }
  return only.length === 0 ? selected : selected.filter((name) => only.includes(name));
}

/** The selected tables of the copy that are not among `present`. */
export function vanishedFrom(
  copied: readonly string[],
  { selection }: Pick<Selecting, "selection">,
  present: readonly string[],
): readonly string[] {
  return copied.filter((id) => selects(selection, id) && !present.includes(id));
}

/** Whether `schemaChanges` lets a table come that is new since the last run. A table that the user names always may. */
export function mayCome(
  id: string,
  { tables, passes, lastRun }: Stored,
  connection: Pick<Connection, "selection" | "tables" | "settings" | "log">,
): boolean {
  const { selection, tables: named = {}, log } = connection;
  const { schemaChanges } = settingsOf(connection, id);
  if (tables.size === 0 || schemaChanges === "allow_all") return true;
  if (selection.include.includes(id) || Object.hasOwn(named, id)) return true;
  // A table of the last run that has no copy was reset, or its first pass was interrupted.
  const known = [...tables.keys(), ...passes.flatMap((pass) => pass.tables.map((table) => table.id))];
  if (known.includes(id) || lastRun?.tables.some(({ table }) => table === id) === true) return true;
  log.warn(
    `table "${id}" is new. It is not copied, since schemaChanges is ${schemaChanges}. To copy it, name it in tables.include`,
  );
  return false;
}

function checkNames(known: readonly string[], vanished: readonly string[], connection: Selecting): void {
  const { selection, tables = {}, log } = connection;
  if (selection.others !== undefined) return;
  const all = [...known, ...vanished];
  const isThere = (text: string): boolean =>
    isPattern(text) ? all.some((name) => matches(text, name)) : all.includes(text);
  const configured = [
    ...selection.include.map((text) => ["tables.include", text] as const),
    ...Object.keys(tables).map((text) => ["overrides", text] as const),
  ];
  const unknown = configured.find(([setting, text]) =>
    setting === "overrides" ? !all.includes(text) : !isThere(text),
  );
  if (unknown !== undefined) {
    const [setting, text] = unknown;
    const what =
      setting !== "overrides" && isPattern(text) ? `no table matches "${text}"` : `there is no table "${text}"`;
    throw new HeadwatersError("TABLE_UNKNOWN", `${setting}: ${what} in the source`, { hint: meant(text, known) });
  }
  for (const text of selection.exclude) {
    if (isPattern(text) || all.includes(text)) continue;
    const name = nearest(text, known);
    log.warn(`tables.exclude: there is no table "${text}"${name === null ? "" : `; was "${name}" meant?`}`);
  }
}

function meant(text: string, known: readonly string[]): string {
  const name = nearest(text, known);
  return name === null ? `The source has ${listed(known)}.` : `Did you mean "${name}"?`;
}

/** Throws `NAMES_COLLIDE` if another selected table is copied under the same name. */
function checkCopyName(id: string, ids: readonly string[], settings: NonNullable<Connection["tables"]>): void {
  const nameOf = (table: string): string => tableSettings({ tables: settings }, table).rename ?? table;
  const other = ids.find((table) => table !== id && nameOf(table) === nameOf(id));
  if (other === undefined) return;
  throw new HeadwatersError("NAMES_COLLIDE", `tables "${id}" and "${other}" would both be copied to "${nameOf(id)}"`, {
    hint: `Give one of them another name: overrides.${id}.rename.`,
  });
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  return names.length <= 12 ? names.join(", ") : `${names.slice(0, 12).join(", ")} and ${names.length - 12} more`;
}
