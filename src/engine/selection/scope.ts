import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Table } from "../../protocol/table.ts";
import { columnMapping } from "./columns.ts";
import type { TableSettings } from "../connection.ts";

/**
 * The fingerprint of what decides what is in a table's copy. Of the connection's scope: what is shared, and of its
 * `tables` what is the table's own; then filter and names. What chooses columns stands behind a point, by itself.
 */
export function scopeOf(scope: Json, table: string, settings: TableSettings = {}): string {
  const { columns, filter, rename, renameColumns } = settings;
  const chosen = { filter, rename, renameColumns };
  const parts = [ofTable(scope, table), table, ...(Object.values(chosen).some(isSet) ? [inOrder(chosen)] : [])];
  const rows = digest(parts);
  if (columns === undefined || columns.others !== undefined) return rows;
  const { include, exclude } = columns;
  return `${rows}.${digest([[...new Set(include)].sort(), [...new Set(exclude)].sort()])}`;
}

/** Throws `SCOPE_CHANGED` where going on would give up something that the copy has, and the user has not agreed. */
export function checkScope(table: Table, now: string, before: string | null, accepted: boolean): void {
  if (before === null || rowsOf(before) === rowsOf(now) || accepted) return;
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${table.id}": the copy was made from another server, database, schema or filter, or with other names, than the configuration has now`,
    {
      hint: "To make the copy equal to what the configuration says (rows that are no longer chosen are deleted), run sync with --accept-scope; to start over, run reset; else restore the configuration.",
    },
  );
}

/** Likewise, where columns that the copy has are left out now. `before`: the table as its copy was made. */
export function checkColumnsKept(before: Table | null, settings: TableSettings, accepted: boolean): void {
  if (before === null || accepted || settings.columns?.others !== undefined) return;
  const names = columnMapping(settings, []);
  const lost = before.columns.filter(({ name }) => !names.isCopied(name));
  if (lost.length === 0) return;
  const listed = lost.map(({ name }) => `"${name}"`).join(", ");
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${before.id}": the copy has ${listed}, which overrides.${before.id}.columns leaves out now`,
    { hint: "To clear the values in the copy, run sync with --accept-scope; else restore the configuration." },
  );
}

/** The part that says which rows there are; of several tables, whose scopes stand side by side, those of each. */
function rowsOf(scope: string): string {
  return scope.replace(/\.\w+/g, "");
}

function ofTable(scope: Json, table: string): Json {
  if (scope === null || typeof scope !== "object" || !("tables" in scope)) return scope;
  const { tables, ...shared } = scope;
  const own = tables !== null && typeof tables === "object" && !Array.isArray(tables) ? tables : {};
  return { ...shared, table: (own as Readonly<Record<string, Json>>)[table] ?? null };
}

function isSet(value: unknown): boolean {
  return value !== undefined;
}

/** With the members of mappings in one order: how a user orders them says nothing. */
function inOrder(value: unknown): Json {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value as Json;
  const entries = Object.entries(value).filter(([, member]) => isSet(member));
  return Object.fromEntries(
    entries.map(([name, member]) => [name, inOrder(member)] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function digest(value: Json): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
}
