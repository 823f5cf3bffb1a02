import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Table } from "../../protocol/table.ts";
import { columnMapping } from "./columns.ts";
import { type Connection, type TableSettings, tableSettings } from "../connection.ts";

/**
 * The fingerprint of everything that decides what is in a table's copy: the shared part of the connection's scope, the
 * table's own part of it, then filter and names. The selection of columns follows after a point.
 */
export function scopeOf(scope: Json, table: string, settings: TableSettings = {}): string {
  const { columns, filter, rename, renameColumns } = settings;
  const own = { filter, rename, renameColumns };
  const parts = [ofTable(scope, table), table, ...(Object.values(own).some(isSet) ? [inOrder(own)] : [])];
  const rows = digest(parts);
  if (columns === undefined || columns.others !== undefined) return rows;
  const { include, exclude } = columns;
  return `${rows}.${digest([[...new Set(include)].sort(), [...new Set(exclude)].sort()])}`;
}

/**
 * What decides which rows of a connection exist, and the same for the server's other addresses. This machine's address
 * has several names; for any other changed address, nothing shows that the server is the same.
 */
export function scopesOf<Configuration>(
  definition: { scope(configuration: Configuration): Json },
  configuration: Configuration,
): Required<Pick<Connection, "scope" | "sameScopes">> {
  const { host } = configuration as { readonly host?: unknown };
  const others = typeof host === "string" ? (names[host] ?? []) : [];
  return {
    scope: definition.scope(configuration),
    sameScopes: others.map((other) => definition.scope({ ...configuration, host: other })),
  };
}

/** `localhost` is both addresses; a server at one of them need not be the server at the other. */
const names: Readonly<Record<string, readonly string[]>> = {
  localhost: ["127.0.0.1", "::1"],
  "127.0.0.1": ["localhost"],
  "::1": ["localhost"],
};

/** The scope of a table. `stored`: the copy's; it still holds if it names the same server by another address. */
export function scopeFor(
  connection: Pick<Connection, "scope" | "sameScopes" | "tables">,
  table: string,
  stored: string | null,
): string {
  const settings = tableSettings(connection, table);
  const all = [connection.scope, ...(connection.sameScopes ?? [])].map((one) => scopeOf(one, table, settings));
  return all.find((one) => stored !== null && rowsOf(one) === rowsOf(stored)) ?? all[0]!;
}

/** Throws `SCOPE_CHANGED` if a sync could delete rows of the copy because of another scope, unless the user agreed. */
export function checkScope(table: Table, now: string, before: string | null, accepted: boolean): void {
  if (before === null || rowsOf(before) === rowsOf(now) || accepted) return;
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${table.id}": the copy was made from another server, database, schema or filter, or with other names, than is configured now`,
    {
      hint: "To make the copy follow the configuration (rows that are no longer selected are deleted), run sync with --accept-scope. To start over, run reset. Otherwise restore the configuration.",
    },
  );
}

/** Throws `SCOPE_CHANGED` if the selection leaves columns of the copy out, unless the user agreed. `before`: the copy's table. */
export function checkColumnsKept(before: Table | null, settings: TableSettings, accepted: boolean): void {
  if (before === null || accepted || settings.columns?.others !== undefined) return;
  const names = columnMapping(settings, []);
  const lost = before.columns.filter(({ name }) => !names.isCopied(name));
  if (lost.length === 0) return;
  const listed = lost.map(({ name }) => `"${name}"`).join(", ");
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${before.id}": the copy has ${listed}, which overrides.${before.id}.columns now leaves out`,
    { hint: "To clear the values in the copy, run sync with --accept-scope. Otherwise restore the configuration." },
  );
}

/** The part that decides which rows exist. For the joined scopes of several tables: the part of each. */
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

/** With the members of mappings in one order, since their order in the configuration has no meaning. */
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
