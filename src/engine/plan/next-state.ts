import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { HeldDeletes, Table, TableState } from "../../protocol/table.ts";

/**
 * The state of a table after `pass`: the next sync decides by it. `milliseconds`: how long the pass took. `held`: its
 * deletes, if they are held back; they are looked for again as if this pass had not looked.
 */
export function nextState(
  pass: Pass,
  table: Table,
  before: TableState | null,
  milliseconds: number,
  held: HeldDeletes | null,
): TableState {
  const next = pass.next[table.id] ?? null;
  const { asOf } = pass;
  const read = { asOf, ...(pass.unseenFrom === undefined ? {} : { unseenFrom: pass.unseenFrom }) };
  const written = pass.kind === "full" ? pass.tables[0]! : (before?.table ?? table);
  const reread = fractionsBecameText(written, table) ? { reread: true as const } : {};
  const swept =
    held === null
      ? { sweptAt: asOf, sweepMilliseconds: milliseconds }
      : { sweptAt: before?.sweptAt ?? never, sweepMilliseconds: milliseconds, held };
  switch (pass.kind) {
    case "full":
      return { table, next, ...read, readAt: asOf, scope: pass.scope, ...swept, ...reread };
    case "keys": {
      // Without a version a sweep does not show which rows changed. It never moves the cursor; a stream without one goes on after it.
      const { held: _, ...known } = wholeState(before, pass);
      const goesOn = table.streamed === true && table.cursor === null ? { next } : {};
      return { ...known, ...goesOn, table, ...(table.version === null ? {} : read), ...swept, ...reread };
    }
    case "window":
      return { ...wholeState(before, pass), table, next, ...read, ...reread };
    case "stream": {
      const known = wholeState(before, pass);
      // A full pass may have been read at a later moment than the one that the stream has reached.
      return { ...known, table, next, ...(known.asOf > asOf ? {} : read), ...reread };
    }
  }
}

/** Before any sweep. */
const never = new Date(0).toISOString();

/** The state that a pass other than a full one builds on. */
export function wholeState(state: TableState | null, pass: Pass): TableState {
  if (state === null)
    throw new HeadwatersError("DEFECT", `a ${pass.kind} pass was planned for a table without a full copy`);
  return state;
}

/**
 * Whether a column of fractions became text. The destination converted the copy's values in its own way
 * (`1.0` where the source has `1`): only reading all rows again gives the source's text.
 */
function fractionsBecameText(before: Table, now: Table): boolean {
  return now.columns.some(({ name, type }) => {
    const known = before.columns.find((column) => column.name === name)?.type.kind;
    return type.kind === "STRING" && (known === "FLOAT" || known === "DOUBLE");
  });
}
