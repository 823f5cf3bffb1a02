import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { settingsOf, type SyncConnection, tableSettings } from "../connection.ts";
import { checkColumnsKept, checkScope, scopeOf } from "../selection/scope.ts";
import { checkSchemaChange, type Flags, sameKey } from "./decide.ts";

export interface TogetherDecision {
  /** The scopes of all tables, side by side. */
  readonly scope: string;
  /** The stored pass that continues. */
  readonly resume: Pass | null;
  /** The stored pass that is given up because it no longer fits. */
  readonly abandon: Pass | null;
  /** The states that the next pass goes on from, by table id. Empty: all tables are read from the start. */
  readonly states: ReadonlyMap<string, TableState>;
}

/** The open pass over any of these tables. */
export function openTogether({ passes }: Stored, tables: readonly Table[]): Pass | null {
  return passes.find((pass) => pass.tables.some(({ id }) => tables.some((table) => table.id === id))) ?? null;
}

/**
 * Decides how tables that share one state are read: they go on from where the last pass ended. They start over with
 * `full`, and with another scope that the user agreed to. Throws `SCOPE_CHANGED` and `SCHEMA_CHANGE_BLOCKED`.
 */
export function decideTogether(
  tables: readonly Table[],
  stored: Stored,
  flags: Flags,
  connection: Pick<SyncConnection, "scope" | "tables" | "settings">,
): TogetherDecision {
  const open = openTogether(stored, tables);
  const names = ({ tables: of }: { readonly tables: readonly Table[] }): string => of.map(({ id }) => id).join("\n");
  const samePass = open !== null && names(open) === names({ tables });
  const inPass = new Map(open?.tables.map((table) => [table.id, table]));
  const scope = tables.map(({ id }) => scopeIn(connection, id)).join(" ");
  for (const table of tables) {
    const state = stored.tables.get(table.id) ?? null;
    const before = state?.table ?? inPass.get(table.id) ?? null;
    checkScope(table, scopeIn(connection, table.id), state?.scope ?? null, flags.acceptScope);
    if (samePass) checkScope(table, scope, open.scope, flags.acceptScope);
    checkColumnsKept(before, tableSettings(connection, table.id), flags.acceptScope);
    if (state !== null) checkSchemaChange(state.table, table, settingsOf(connection, table.id).schemaChanges);
    checkKey(table, before);
  }
  const anew = flags.full || tables.some((table) => isOther(table, stored.tables.get(table.id), connection));
  const fits = samePass && open.scope === scope && !anew;
  const states = anew ? [] : [...stored.tables].filter(([id]) => tables.some((table) => table.id === id));
  return { scope, resume: fits ? open : null, abandon: fits ? null : open, states: new Map(states) };
}

export function scopeIn(connection: Pick<SyncConnection, "scope" | "tables" | "settings">, table: string): string {
  return scopeOf(connection.scope, table, tableSettings(connection, table));
}

function checkKey(table: Table, before: Table | null): void {
  if (before === null || sameKey(before, table)) return;
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${table.id}": its key is ${table.key.join(", ")}, but its copy was made with the key ${before.key.join(", ")}`,
    { hint: "Run reset --drop for this table and sync again, or give it its former key." },
  );
}

/** Whether the state belongs to another table of the same name, or to another scope. */
function isOther(
  table: Table,
  state: TableState | undefined,
  connection: Pick<SyncConnection, "scope" | "tables" | "settings">,
): boolean {
  if (state === undefined) return false;
  return state.table.identity !== table.identity || state.scope !== scopeIn(connection, table.id);
}
