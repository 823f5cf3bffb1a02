import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, PassKind } from "../../protocol/pass.ts";
import type { Destination } from "../../protocol/destination.ts";
import type { SourceCapabilities } from "../../protocol/source.ts";
import { cursorShowsAll, type Table, type TableState } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { hasColumnsOf, sameType, widen } from "../../toolkit/types.ts";
import type { Settings } from "../connection.ts";
import { checkScope } from "../selection/scope.ts";

/** A sweep that is estimated to take less is made with each sync (`deletes: auto`), in milliseconds. */
const cheapSweep = 10_000;
const day = 24 * 60 * 60 * 1_000;
/** How old a copy gets before a full pass replaces it in search of deletes (`deletes: auto`): it costs a writing of all rows. */
const mostUnswept = 7 * day;

/** What a sync was asked to do beyond the settings. */
export interface Flags {
  /** Read every row, whatever is stored. */
  readonly full: boolean;
  /** Sweep, whatever `deletes` says. */
  readonly sweep: boolean;
  /** The user agrees that the copy takes on another scope. */
  readonly acceptScope: boolean;
}

/** What source and destination can do together, for one table. */
export interface Abilities extends SourceCapabilities {
  /** As {@link Destination.fullPass} says; `null`: the copy can be read, and sweeps be made. */
  readonly fullPass: ReturnType<NonNullable<Destination["fullPass"]>> | null;
}

export interface Decision {
  /** The stored pass that is gone on with. */
  readonly resume: Pass | null;
  /** A stored pass that no longer fits and starts over. */
  readonly abandon: Pass | null;
  /** Passes to plan after that, in order. */
  readonly passes: readonly PassKind[];
  /** The first of `passes` replaces the copy. */
  readonly replace: boolean;
}

/**
 * Decides what a sync reads of one table: nothing stored, another table under its name, new columns and another cursor
 * ask for a full pass, which replaces the copy where the key is another or its values are written otherwise; else a window
 * pass where there is a cursor; then a sweep where one is due.
 *
 * Throws `SCOPE_CHANGED` and `SCHEMA_CHANGE_BLOCKED`.
 */
export function decide(
  table: Table,
  scope: string,
  state: TableState | null,
  open: Pass | null,
  flags: Flags,
  settings: Settings,
  abilities: Abilities,
  now: Date,
): Decision {
  checkScope(table, scope, state?.scope ?? open?.scope ?? null, flags.acceptScope);
  // What the user chose anew is no change of the source's schema.
  if (state?.scope === scope) checkSchemaChange(state.table, table, settings.schemaChanges);

  const inferred = abilities.schema === "inferred";
  const fits = open !== null && open.scope === scope && !flags.full && sameShape(open.tables[0]!, table, inferred);
  const resume = fits ? open : null;
  const abandon = fits ? null : open;

  if (resume?.kind === "full") return { resume, abandon, passes: catchUp(table, abilities), replace: false };
  const replace = state !== null && !keepsKeys(state.table, table);
  // Without a cursor a sweep still shows every change, if rows have a version.
  const swept = table.cursor === null && table.version !== null && canSweep(table, abilities);
  const incremental =
    state !== null &&
    !needsFull(state, scope, table, inferred) &&
    !hasCleared(abandon, table) &&
    !rereadDue(state, settings.reread, abilities, now);
  if (flags.full || !incremental || (table.cursor === null && !swept)) {
    return { resume: null, abandon: abandon ?? resume, passes: ["full"], replace };
  }
  if (swept) return { resume, abandon, passes: ["keys"], replace: false };
  // A sweep that is gone on with counts as made now, so that a long one is not made twice.
  const sweptAt = resume?.kind === "keys" ? now : new Date(state.sweptAt);
  const due = flags.sweep || sweepDue(table, sweptAt, state.sweepMilliseconds, settings.deletes, abilities, now);
  // Where no sweep can be made only a full pass shows what is gone.
  if (due && abilities.fullPass !== null)
    return { resume: null, abandon: abandon ?? resume, passes: ["full"], replace };
  return {
    resume,
    abandon,
    passes: due && canSweep(table, abilities) ? ["window", "keys"] : ["window"],
    replace: false,
  };
}

/**
 * What heals a full pass that spanned runs: rows may have changed, and gone, after they were read. Without a cursor only
 * a second reading tells.
 */
function catchUp(table: Table, abilities: Abilities): PassKind[] {
  // A second full pass would truncate what was just written; without a cursor the next sync makes it anyway.
  if (abilities.fullPass !== null) return table.cursor === null ? [] : ["window"];
  if (table.cursor === null) return table.version !== null && canSweep(table, abilities) ? ["keys"] : ["full"];
  return canSweep(table, abilities) ? ["window", "keys"] : ["window"];
}

function canSweep(table: Table, abilities: Abilities): boolean {
  return abilities.fullPass === null && table.key.length > 0 && abilities.passes.includes("keys");
}

/**
 * `never` spares sweeps that would find nothing but deletes; where they find changes too, it is as `auto`. A full pass in
 * their stead costs too much to be made against the user's word.
 */
function sweepDue(
  table: Table,
  swept: Date,
  milliseconds: number | null,
  deletes: Settings["deletes"],
  { fullPass }: Abilities,
  now: Date,
): boolean {
  if (deletes === "each_sync") return true;
  if (deletes === "never" && (cursorShowsAll(table) || fullPass !== null)) return false;
  const age = now.getTime() - swept.getTime();
  if (typeof deletes === "number") return age >= deletes;
  if (fullPass === "replaces") return age >= mostUnswept;
  return age >= day || (milliseconds !== null && milliseconds < cheapSweep);
}

function rereadDue(state: TableState, wanted: Settings["reread"], { reread }: Abilities, now: Date): boolean {
  const interval = wanted === "auto" ? reread : wanted;
  if (interval === undefined || interval === "never") return false;
  return now.getTime() - Date.parse(state.readAt) >= interval;
}

function needsFull(state: TableState, scope: string, table: Table, inferred: boolean): boolean {
  return (
    state.reread === true ||
    state.scope !== scope ||
    state.table.cursor !== table.cursor ||
    state.table.version !== table.version ||
    (table.cursor !== null && state.next === null) ||
    !coveredBy(state.table, table, inferred)
  );
}

/** A pass that is given up has cleared the columns of the copy that it did not have: only a full pass fills them again. */
function hasCleared(abandoned: Pass | null, table: Table): boolean {
  const had = abandoned?.tables[0]?.columns;
  return had !== undefined && !table.columns.every(({ name }) => had.some((column) => column.name === name));
}

/**
 * Whether every column of `now` was there before, of the same type, in the same table. Where columns are inferred, one
 * that is new was in no row before: the rows that have it are read as rows that changed.
 */
export function coveredBy(before: Table, now: Table, inferred: boolean): boolean {
  return before.identity === now.identity && keepsKeys(before, now) && (inferred || hasColumnsOf(before, now));
}

function sameShape(before: Table, now: Table, inferred: boolean): boolean {
  return (
    coveredBy(before, now, inferred) &&
    (inferred || before.columns.length === now.columns.length) &&
    before.cursor === now.cursor &&
    before.version === now.version
  );
}

export function sameKey(before: Table, now: Table): boolean {
  return before.key.length === now.key.length && before.key.every((name, index) => name === now.key[index]);
}

/**
 * Whether keys of before can be compared with those of now: of the same columns, which at most took a wider type of the
 * same values (INT, LONG). `1` that turned to text or JSON is met by no key of now, as if every row were gone.
 */
function keepsKeys(before: Table, now: Table): boolean {
  return (
    sameKey(before, now) &&
    now.key.every((name) => {
      const [old, type] = [typeOf(before, name), typeOf(now, name)];
      return old === undefined || type === undefined || sameType(old, type) || widen(old, type).kind !== "STRING";
    })
  );
}

function typeOf({ columns }: Table, column: string): Type | undefined {
  return columns.find(({ name }) => name === column)?.type;
}

/** Throws `SCHEMA_CHANGE_BLOCKED` where `block_all` stands against a change. */
export function checkSchemaChange(before: Table, now: Table, policy: Settings["schemaChanges"]): void {
  if (policy !== "block_all") return;
  const changed = now.columns.find((column) => {
    const old = before.columns.find((candidate) => candidate.name === column.name);
    return old === undefined || !sameType(old.type, column.type);
  });
  if (changed === undefined && sameKey(before, now)) return;
  const what = changed === undefined ? "its key" : `column "${changed.name}"`;
  throw new HeadwatersError(
    "SCHEMA_CHANGE_BLOCKED",
    `table "${now.id}": ${what} changed in the source, and schemaChanges is block_all`,
    {
      hint: "Set schemaChanges to allow_columns or allow_all, leave a new column out (columns.exclude), or leave the table out.",
    },
  );
}
