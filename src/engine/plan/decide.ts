import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, PassKind } from "../../protocol/pass.ts";
import type { Destination } from "../../protocol/destination.ts";
import type { SourceCapabilities } from "../../protocol/source.ts";
import { cursorShowsAll, type HeldDeletes, type Table, type TableState } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { hasColumnsOf, holdsAsIs, widen } from "../../toolkit/types.ts";
import type { Settings } from "../connection.ts";
import { checkScope } from "../selection/scope.ts";

/** A sweep that is estimated to take less is made with each sync (`deletes: auto`), in milliseconds. */
const cheapSweep = 10_000;
/** Keys that a sweep reads in a millisecond, by a cautious estimate. */
const sweptRows = 20;
const day = 24 * 60 * 60 * 1_000;
/** How old a copy gets before a full pass replaces it to find deletes (`deletes: auto`): all rows are then written again. */
const mostUnswept = 7 * day;
/** The age at which a copy that follows a stream is read whole, to heal what no stream shows (`reread: auto`). */
const streamedReread = 7 * day;

/** The user's flags for one sync, beyond the settings. */
export interface Flags {
  /** Read every row, whatever is stored. */
  readonly full: boolean;
  /** Sweep, whatever `deletes` says. */
  readonly sweep: boolean;
  /** The user agrees that the copy takes on another scope. */
  readonly acceptScope: boolean;
  /** The user agrees to more deletes than `maxDeleteFraction`. */
  /** `true`: any number; a number: no more than so many of a table. */
  readonly acceptDeletes: boolean | number;
}

/** What source and destination together can do for one table. */
export interface Abilities extends SourceCapabilities {
  /** What {@link Destination.fullPass} says; `null`: the copy can be read, so that sweeps can be made. */
  readonly fullPass: ReturnType<NonNullable<Destination["fullPass"]>> | null;
}

export interface Decision {
  /** The stored pass that continues. */
  readonly resume: Pass | null;
  /** The stored pass that is given up because it no longer fits. */
  readonly abandon: Pass | null;
  /** Passes to plan after that, in order. */
  readonly passes: readonly PassKind[];
  /** The first of `passes` replaces the copy. */
  readonly replace: boolean;
  /** The reason, for people: `sync --dry-run` shows it. */
  readonly why: string;
}

/**
 * Decides what a sync reads of one table. A full pass is made if nothing is stored, if another table has its name now, or
 * if columns are new or the cursor is another; it replaces the copy if the key is another or its values are written
 * differently. Otherwise the table's stream is read, if it has one; else a window where there is a cursor, then a sweep
 * if one is due.
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
  // Another selection by the user is no change of the source's schema.
  if (state?.scope === scope) checkSchemaChange(state.table, table, settings.schemaChanges);

  const inferred = abilities.schema === "inferred";
  const streamed = hasStream(table, abilities);
  const resumable = open?.kind === "full" || (!streamed && open?.kind !== "stream");
  const fits =
    open !== null && resumable && open.scope === scope && !flags.full && sameShape(open.tables[0]!, table, inferred);
  const resume = fits ? open : null;
  const abandon = fits ? null : open;

  if (resume?.kind === "full")
    return { resume, abandon, passes: catchUp(table, abilities), replace: false, why: goesOn(resume) };
  // A first pass that is given up has filled the copy in part.
  const filled = state?.table ?? abandon?.tables[0];
  const replace = filled !== undefined && !keepsKeys(filled, table);
  // Without a cursor a sweep still shows every change, if rows have a version.
  const swept = table.cursor === null && table.version !== null && canSweep(table, abilities);
  const full = (why: string): Decision => ({
    resume: null,
    abandon: abandon ?? resume,
    passes: streamed ? ["full", "stream"] : ["full"],
    replace,
    why,
  });
  if (flags.full) return full("a full read was requested");
  if (state === null) return full(open === null ? "it was not copied yet" : "its first pass no longer fits");
  const outdated = needsFull(state, scope, table, inferred);
  if (outdated !== null) return full(outdated);
  if (hasCleared(abandon, table)) return full("a pass that is given up has cleared columns");
  if (rereadDue(state, settings.reread, streamed ? { reread: streamedReread } : abilities, now))
    return full("its last full read is too old (reread)");
  const agreed =
    state.held !== undefined && (flags.acceptDeletes !== false || !exceeds(state.held, settings.maxDeleteFraction));
  if (streamed) {
    const looksFor = flags.sweep || agreed || resweepDue(state, settings.deletes, abilities, now);
    const passes = [...(looksFor ? withoutStream(table, abilities) : []), "stream"] as const;
    const why = looksFor ? "a sweep for deleted rows is due" : "its stream shows what changed";
    return { resume: null, abandon: abandon ?? resume, passes, replace, why };
  }
  if (table.cursor === null && !swept) return full("nothing shows what changed");
  if (swept) {
    const why = resume === null ? "no cursor: a sweep shows what changed" : goesOn(resume);
    return { resume, abandon, passes: ["keys"], replace: false, why };
  }
  // A sweep that continues counts as made now, so that a long one is not made twice.
  const sweptAt = resume?.kind === "keys" ? now : new Date(state.sweptAt);
  const due =
    flags.sweep || agreed || sweepDue(table, sweptAt, state.sweepMilliseconds, settings.deletes, abilities, now);
  // If no sweep can be made, only a full pass finds deletes.
  if (due && abilities.fullPass !== null) return full("a search for deleted rows is due");
  const sweeps = due && canSweep(table, abilities);
  const why = `${table.cursor} shows what changed${sweeps ? ", and a sweep is due" : ""}`;
  return {
    resume,
    abandon,
    passes: sweeps ? ["window", "keys"] : ["window"],
    replace: false,
    why: resume === null ? why : `${goesOn(resume)}; ${why}`,
  };
}

function hasStream({ streamed }: Table, { resweep, fullPass }: Abilities): boolean {
  return streamed === true && (resweep === undefined || fullPass === null);
}

/** If each sync reads the stream, it does not have to sweep (`deletes: each_sync`). */
function resweepDue(
  { sweptAt }: TableState,
  deletes: Settings["deletes"],
  { resweep = Infinity }: Abilities,
  now: Date,
): boolean {
  const interval = typeof deletes === "number" && resweep < Infinity ? deletes : resweep;
  return deletes !== "never" && now.getTime() - Date.parse(sweptAt) >= interval;
}

/** The passes for a copied table whose stream does not go on from its copy; the stream continues after them. */
export function withoutStream(table: Table, abilities: Abilities): readonly PassKind[] {
  const shown = abilities.catchesUp === true && table.version !== null && canSweep(table, abilities);
  if (!shown) return ["full"];
  return table.cursor === null ? ["keys"] : ["window", "keys"];
}

function goesOn({ kind }: Pass): string {
  return `goes on with the ${kind} pass that was interrupted`;
}

/**
 * The passes that catch up after a full pass that spanned runs: rows may have changed or been deleted since they were read.
 * Without a cursor only a second reading shows it.
 */
function catchUp(table: Table, abilities: Abilities): PassKind[] {
  if (hasStream(table, abilities)) return ["stream"];
  // A second full pass would truncate what was just written. Without a cursor the next sync makes one anyway.
  if (abilities.fullPass !== null) return table.cursor === null ? [] : ["window"];
  if (table.cursor === null) return table.version !== null && canSweep(table, abilities) ? ["keys"] : ["full"];
  return canSweep(table, abilities) ? ["window", "keys"] : ["window"];
}

function canSweep(table: Table, abilities: Abilities): boolean {
  return abilities.fullPass === null && table.key.length > 0 && abilities.passes.includes("keys");
}

/**
 * `never` turns off sweeps that would only find deletes; where sweeps also find changes, it means `auto`. A full pass
 * instead of a sweep costs too much to be made against this setting.
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
  return age >= day || (milliseconds ?? estimatedSweep(table)) < cheapSweep;
}

/** Whether the deletes exceed the delete limit. */
export function exceeds({ gone, of }: HeldDeletes, maxDeleteFraction: number): boolean {
  return gone > of * maxDeleteFraction;
}

/** In milliseconds, for a table whose sweeps were never measured. */
function estimatedSweep({ estimatedRows }: Table): number {
  return estimatedRows === null ? Infinity : estimatedRows / sweptRows;
}

function rereadDue(
  state: TableState,
  setting: Settings["reread"],
  { reread }: Pick<Abilities, "reread">,
  now: Date,
): boolean {
  const interval = setting === "auto" ? reread : setting;
  if (interval === undefined || interval === "never") return false;
  return now.getTime() - Date.parse(state.readAt) >= interval;
}

/** Why the stored state can't be used for a window or a sweep; `null`: it can. */
function needsFull(state: TableState, scope: string, table: Table, inferred: boolean): string | null {
  if (state.reread === true) return "columns of fractions became text";
  if (state.scope !== scope) return "the server, the selection or a filter changed";
  if (state.table.cursor !== table.cursor) return "the cursor column changed";
  if (state.table.version !== table.version) return "the version column changed";
  if (table.cursor !== null && state.next === null) return "no cursor was kept";
  if (!sameStorage(state.table, table)) return "the source has rewritten its storage";
  if (state.table.identity !== table.identity) return "another table has its name now";
  return coveredBy(state.table, table, inferred) ? null : "columns are new, or have other types";
}

/** A pass that is given up has cleared those columns of the copy that it lacked: only a full pass fills them again. */
function hasCleared(abandoned: Pass | null, table: Table): boolean {
  const had = abandoned?.tables[0]?.columns;
  return had !== undefined && !table.columns.every(({ name }) => had.some((column) => column.name === name));
}

/**
 * Whether every column of `now` existed before, with the same type, in the same table. If columns are inferred, no row
 * had a new column before: the rows that have it are read because they changed.
 */
export function coveredBy(before: Table, now: Table, inferred: boolean): boolean {
  return before.identity === now.identity && keepsKeys(before, now) && (inferred || hasColumnsOf(before, now));
}

/** States of older releases have no storage. */
function sameStorage(before: Table, now: Table): boolean {
  return before.storage === undefined || now.storage === undefined || before.storage === now.storage;
}

function sameShape(before: Table, now: Table, inferred: boolean): boolean {
  return (
    coveredBy(before, now, inferred) &&
    sameStorage(before, now) &&
    (inferred || before.columns.length === now.columns.length) &&
    before.cursor === now.cursor &&
    before.version === now.version
  );
}

export function sameKey(before: Table, now: Table): boolean {
  return before.key.length === now.key.length && before.key.every((name, index) => name === now.key[index]);
}

/**
 * Whether the old keys can be compared with the new ones: the columns are the same, and types only became
 * wider for the same values (INT, LONG). If `1` became text or JSON, no new key would match it, as if every row
 * were gone.
 */
function keepsKeys(before: Table, now: Table): boolean {
  return (
    sameKey(before, now) &&
    now.key.every((name) => {
      const [old, type] = [typeOf(before, name), typeOf(now, name)];
      if (old === undefined || type === undefined || holdsAsIs(old, type) || holdsAsIs(type, old)) return true;
      return widen(old, type).kind !== "STRING";
    })
  );
}

function typeOf({ columns }: Table, column: string): Type | undefined {
  return columns.find(({ name }) => name === column)?.type;
}

/** Throws `SCHEMA_CHANGE_BLOCKED` if `block_all` forbids a change. */
export function checkSchemaChange(before: Table, now: Table, policy: Settings["schemaChanges"]): void {
  if (policy !== "block_all") return;
  const changed = now.columns.find((column) => {
    const old = before.columns.find((candidate) => candidate.name === column.name);
    return old === undefined || !holdsAsIs(old.type, column.type);
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
