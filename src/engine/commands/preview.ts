import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import type { PassKind } from "../../protocol/pass.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { Table } from "../../protocol/table.ts";
import { type Connection, settingsOf, tableSettings } from "../connection.ts";
import { atDestination } from "../lease.ts";
import { decide, type Flags } from "../plan/decide.ts";
import { decideTogether } from "../plan/decide-together.ts";
import { storedTable } from "../run/context.ts";
import { discover, withSeenColumns } from "../selection/discover.ts";
import { checkColumnsKept, scopeFor } from "../selection/scope.ts";
import { mayCome, narrowTo } from "../selection/selection.ts";

/** What a sync would do with one table. */
export interface Preview {
  readonly table: string;
  /** In their order, including those that continue. Empty: the table fails. */
  readonly passes: readonly PassKind[];
  readonly why: string;
  /** Rows in the source, by its own estimate; `null`: unknown. */
  readonly estimatedRows: number | null;
  /** How long the last sweep took, in milliseconds; `null`: unknown. */
  readonly sweepMilliseconds: number | null;
  readonly error: HeadwatersError | null;
}

const nothing: Stored = { passes: [], progress: [], tables: new Map(), lastRun: null, lastStamp: null };

/**
 * What a sync would read now, and why. Reads no row of a table and writes nothing. `warehouse` `null`: there is no copy
 * yet.
 */
export async function preview(
  connection: Omit<Connection, "warehouse"> & { readonly warehouse: Connection["warehouse"] | null },
  {
    tables: only,
    flags,
    signal,
  }: { readonly tables: readonly string[]; readonly flags: Flags; readonly signal: AbortSignal },
): Promise<readonly Preview[]> {
  const { warehouse, capabilities } = connection;
  const stored = warehouse === null ? nothing : await atDestination(warehouse.load());
  const { tables: discovered, refused, vanished } = await discover(connection, signal, stored);
  const tables = discovered.filter(({ id }) => mayCome(id, stored, connection));
  const failed = new Map([...refused].filter(([id]) => mayCome(id, stored, connection)));
  for (const id of vanished) {
    failed.set(id, new HeadwatersError("TABLE_UNKNOWN", `table "${id}" is in the copy, but no longer in the source`));
  }
  const names = narrowTo([...tables.map(({ id }) => id), ...failed.keys()], only);
  const selected = tables.filter(({ id }) => names.includes(id));
  const previews =
    capabilities.together === true
      ? previewTogether(selected, stored, connection, flags)
      : selected.map((table) => previewTable(table, stored, connection, flags));
  const failures = [...failed].filter(([id]) => names.includes(id));
  return [...previews, ...failures.map(([table, error]) => failure(table, error))];
}

type Previewed = Omit<Connection, "warehouse">;

function previewTable(discovered: Table, stored: Stored, connection: Previewed, flags: Flags): Preview {
  const { state, open } = storedTable(stored, discovered.id);
  const table = withSeenColumns(discovered, [state?.table, open?.tables[0]], connection);
  const own = tableSettings(connection, table.id);
  const scope = scopeFor(connection, table.id, state?.scope ?? open?.scope ?? null);
  try {
    const abilities = { ...connection.capabilities, fullPass: null };
    const settings = settingsOf(connection, table.id);
    const { resume, passes, why } = decide(table, scope, state, open, flags, settings, abilities, new Date());
    checkColumnsKept(state?.table ?? open?.tables[0] ?? null, own, flags.acceptScope);
    return {
      table: table.id,
      passes: [...(resume === null ? [] : [resume.kind]), ...passes],
      why,
      estimatedRows: table.estimatedRows,
      sweepMilliseconds: state?.sweepMilliseconds ?? null,
      error: null,
    };
  } catch (thrown) {
    return failure(table.id, asHeadwatersError(thrown));
  }
}

/** Tables that are read together fail together. */
function previewTogether(
  tables: readonly Table[],
  stored: Stored,
  connection: Previewed,
  flags: Flags,
): readonly Preview[] {
  try {
    const { resume, states } = decideTogether(tables, stored, flags, connection);
    return tables.map(({ id, estimatedRows }) => ({
      table: id,
      passes: ["stream"],
      why: resume === null && !states.has(id) ? "it is read from the start" : "goes on from the last commit",
      estimatedRows,
      sweepMilliseconds: null,
      error: null,
    }));
  } catch (thrown) {
    return tables.map(({ id }) => failure(id, asHeadwatersError(thrown)));
  }
}

function failure(table: string, error: HeadwatersError): Preview {
  return { table, passes: [], why: error.message, estimatedRows: null, sweepMilliseconds: null, error };
}
