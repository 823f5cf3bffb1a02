import { randomUUID } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { Destination } from "../../protocol/destination.ts";
import type { Stored } from "../../protocol/state-store.ts";
import type { TableState } from "../../protocol/table.ts";
import { selects } from "../../toolkit/patterns.ts";
import { type Connection } from "../connection.ts";
import { atDestination, withLease } from "../lease.ts";
import { CommitClock } from "../run/commit-clock.ts";
import { scopeFor } from "../selection/scope.ts";
import { portable, stateDocument, type StateDocument } from "../state-document.ts";

/** The state of a connection for another place, taken while nobody writes: each table after its last closed pass. */
export async function exportState(warehouse: Destination, source: string): Promise<StateDocument> {
  return await atDestination(withLease(warehouse, async () => portable(stateDocument(source, await warehouse.load()))));
}

/** What an import needs of a connection. It does not use the source. */
export type Importing = Pick<Connection, "warehouse" | "scope" | "sameScopes" | "selection" | "tables">;

/**
 * Replaces the state of the tables that a document has, of all or of none; their open passes are given up. Their copies
 * must exist, and must be those that the state describes: that can't be checked here. Resolves to the tables' names.
 *
 * Throws `TABLE_UNKNOWN` for a table that is not selected, `SCOPE_CHANGED` for one whose state was made from another
 * server, database or selection, and `DESTINATION_EMPTY` for one that has no copy.
 */
export async function importState(
  connection: Importing,
  document: StateDocument,
  only: readonly string[],
): Promise<readonly string[]> {
  const { warehouse } = connection;
  const states = statesOf(document, only);
  for (const [id, state] of states) checkFits(connection, id, state);
  return await atDestination(
    withLease(warehouse, async (lease) => {
      for (const id of states.keys()) {
        if ((await warehouse.count(id)) !== null) continue;
        throw new HeadwatersError("DESTINATION_EMPTY", `the destination has no copy of table "${id}"`, {
          hint: "Its state would say that the copy has all rows. Restore the copy first, or leave the table out with --tables.",
        });
      }
      const { lastStamp } = await warehouse.load();
      const stamp = new CommitClock(lastStamp).next();
      await using transaction = await warehouse.begin(lease, stamp);
      await transaction.reset([...states.keys()], false);
      for (const [id, state] of states) {
        // A pass that reads nothing: a destination stores a state when a pass is closed.
        const pass = emptyPass(state, stamp);
        await transaction.open(pass);
        await transaction.close(pass, new Map([[id, state]]));
      }
      await transaction.commit([]);
      return [...states.keys()];
    }),
  );
}

function statesOf({ tables }: StateDocument, only: readonly string[]): Stored["tables"] {
  const unknown = only.find((name) => !Object.hasOwn(tables, name));
  if (unknown !== undefined) {
    throw new HeadwatersError("TABLE_UNKNOWN", `--tables: the state has no table "${unknown}"`, {
      hint: `It has ${Object.keys(tables).join(", ") || "none"}.`,
    });
  }
  return new Map(Object.entries(tables).filter(([name]) => only.length === 0 || only.includes(name)));
}

function checkFits(connection: Importing, id: string, state: TableState): void {
  const leaveOut = "Restore the configuration of that time, or leave the table out with --tables.";
  if (!selects(connection.selection, id)) {
    throw new HeadwatersError("TABLE_UNKNOWN", `the state has the table "${id}", which is not selected`, {
      hint: leaveOut,
    });
  }
  if (state.scope === scopeFor(connection, id, state.scope)) return;
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `table "${id}": its state was made from another server, database or selection than is configured now`,
    { hint: leaveOut },
  );
}

function emptyPass({ table, asOf, scope }: TableState, opened: string): Pass {
  const common = { id: randomUUID(), tables: [table], splits: [], next: {}, snapshot: null, replace: false };
  return { ...common, kind: "window", asOf, opened, scope };
}
