import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Table, TableState } from "../../protocol/table.ts";

/**
 * What is kept of a table once `pass` is closed on it: what the next sync decides by. `milliseconds`: how long the pass
 * took; `null`: not known.
 */
export function nextState(
  pass: Pass,
  table: Table,
  before: TableState | null,
  milliseconds: number | null,
): TableState {
  const next = pass.next[table.id] ?? null;
  const { asOf } = pass;
  const written = pass.kind === "full" ? pass.tables[0]! : (before?.table ?? table);
  const reread = fractionsBecameText(written, table) ? { reread: true as const } : {};
  const swept = { sweptAt: asOf, sweepMilliseconds: milliseconds };
  switch (pass.kind) {
    case "full":
      return { table, next, asOf, readAt: asOf, scope: pass.scope, ...swept, ...reread };
    case "keys": {
      // Without a version a sweep says nothing of rows that changed; nor may it move the cursor.
      const known = wholeState(before, pass);
      return { ...known, table, asOf: table.version === null ? known.asOf : asOf, ...swept, ...reread };
    }
    case "window":
    case "stream":
      return { ...wholeState(before, pass), table, next, asOf, ...reread };
  }
}

/** The state of a table that a pass other than a full one is made on. */
export function wholeState(state: TableState | null, pass: Pass): TableState {
  if (state === null)
    throw new HeadwatersError("DEFECT", `a ${pass.kind} pass was planned for a table without a full copy`);
  return state;
}

/**
 * Whether a column of fractions turned to text. What the copy had of it before, the destination turned to text in its own
 * way (`1.0` where the source says `1`): only reading all rows once more makes it the source's.
 */
function fractionsBecameText(before: Table, now: Table): boolean {
  return now.columns.some(({ name, type }) => {
    const known = before.columns.find((column) => column.name === name)?.type.kind;
    return type.kind === "STRING" && (known === "FLOAT" || known === "DOUBLE");
  });
}
