import { createHash } from "node:crypto";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import type { Table } from "../protocol/table.ts";
import type { Selection } from "./connection.ts";

/** Whether a name matches a pattern, in which `*` stands for anything. */
function matches(pattern: string, name: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${source.join(".*")}$`, "su").test(name);
}

/**
 * The tables that are selected. Throws `TABLE_UNKNOWN` for a name without `*` in `include` that no table has, and
 * `NO_TABLES` where nothing is left.
 */
export function select(tables: readonly Table[], selection: Selection): readonly Table[] {
  for (const name of selection.include) {
    if (!name.includes("*") && !tables.some((table) => table.id === name)) {
      throw new HeadwatersError("TABLE_UNKNOWN", `tables.include: there is no table "${name}" in the source`, {
        hint: `The source has ${listed(tables.map((table) => table.id))}.`,
      });
    }
  }
  const selected = tables.filter((table) => isSelected(table.id, selection));
  if (selected.length === 0) {
    throw new HeadwatersError("NO_TABLES", "no table is selected", {
      hint:
        tables.length === 0
          ? "The source has no table that this user may read."
          : `Change tables.include or tables.exclude; the source has ${listed(tables.map((table) => table.id))}.`,
    });
  }
  return selected;
}

/** Whether a table is selected, known to the source or not. */
export function isSelected(name: string, selection: Selection): boolean {
  return (
    (selection.include.length === 0 || selection.include.some((pattern) => matches(pattern, name))) &&
    !selection.exclude.some((pattern) => matches(pattern, name))
  );
}

/** The fingerprint of what decides which rows of a table there are: of the scope's `tables`, only what is its own. */
export function scopeOf(scope: Json, table: string): string {
  return createHash("sha256")
    .update(JSON.stringify([ofTable(scope, table), table]))
    .digest("hex")
    .slice(0, 32);
}

function ofTable(scope: Json, table: string): Json {
  if (scope === null || typeof scope !== "object" || !("tables" in scope)) return scope;
  const { tables, ...shared } = scope;
  const own = tables !== null && typeof tables === "object" && !Array.isArray(tables) ? tables : {};
  return { ...shared, table: (own as Readonly<Record<string, Json>>)[table] ?? null };
}

function listed(names: readonly string[]): string {
  return names.length <= 12 ? names.join(", ") : `${names.slice(0, 12).join(", ")} and ${names.length - 12} more`;
}
