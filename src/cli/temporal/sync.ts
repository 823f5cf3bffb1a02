import type { TableProgress } from "../../cluster/contract.ts";
import type { SyncEvent, SyncHappening } from "../../engine/events.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { TableRun } from "../../protocol/state-store.ts";
import { readConnections, type Request } from "../configuration/load.ts";
import type { ConfiguredConnection } from "../configuration/resolve.ts";
import { openWarehouse } from "../connect.ts";
import { syncDisplay } from "../display/sync-display.ts";
import { outcomeOf } from "../errors.ts";
import { type Outcome, worst } from "../exit-codes.ts";
import { Questions } from "../questions.ts";
import type { Session } from "../session.ts";
import type { SyncRequest } from "../sync.ts";
import { fingerprintOf, temporalOf } from "./load.ts";

/** Has workers sync a connection, and shows how far they are. */
export async function syncOnTemporal(
  session: Session,
  configured: ConfiguredConnection,
  request: Request,
  syncRequest: SyncRequest,
): Promise<Outcome> {
  const { tables = [], verify: _, ...flags } = syncRequest;
  const { environment, output, json, quiet, tell, working, signal } = session;
  const { name } = configured;
  const settings = await temporalOf(session, request.file);
  const [raw] = await readConnections(
    { names: [name], ...(request.file === undefined ? {} : { file: request.file }) },
    {
      folder: environment.folder,
    },
  );
  const { startSync } = await import("../../cluster/client.ts");
  const { heartbeatTimeout } = settings;
  const asked = { connection: name, fingerprint: fingerprintOf(raw!), heartbeatTimeout, flags: { ...flags, tables } };
  await using started = await startSync(settings, asked);
  const { run } = started;
  using display = syncDisplay({
    ...{ output, tell, connection: name, prefix: working.prefix, json, quiet },
    now: () => performance.now(),
  });
  const shown = new Progress((happening) =>
    display.event({ at: new Date().toISOString(), run, connection: name, ...happening }),
  );
  let ended = await started.watch((tables) => shown.take(tables), signal);
  if (ended === "left") {
    if (!(await isToBeCancelled(session, name))) {
      output.error(`The sync goes on without you: look at it with "headwaters status ${name}".`);
      return "stopped";
    }
    await started.cancel();
    ended = await started.watch(() => {}, new AbortController().signal);
  }
  await using warehouse = await openWarehouse(configured, { ...session, signal: new AbortController().signal }, false);
  const [record] = await warehouse.runs(1, { id: run });
  if (record === undefined)
    throw new HeadwatersError("DESTINATION_EMPTY", "the sync left no record in the destination");
  for (const table of record.tables) shown.end(table);
  const outcome = ended === "left" || ended.outcome === "stopped" ? "stopped" : worst(record.tables.map(outcomeOf));
  display.end(record, outcome);
  return outcome;
}

/** Whether the user, who pressed Ctrl-C, wants the sync to be cancelled too. Without a terminal it goes on. */
async function isToBeCancelled(session: Session, connection: string): Promise<boolean> {
  const { environment, output } = session;
  if (environment.stdin.isTTY !== true || !output.errorIsTerminal) return false;
  // The signal of the command is spent.
  using questions = new Questions({ ...session, signal: new AbortController().signal });
  const answer = await questions.ask(
    `Type cancel to end the sync of ${connection} on Temporal; anything else leaves it running:`,
  );
  return answer.toLowerCase() === "cancel";
}

/** Turns what a workflow answers into the events that a sync of this process would report. */
class Progress {
  readonly #report: (happening: SyncHappening) => void;
  readonly #known = new Map<string, TableProgress>();
  readonly #ended = new Set<string>();

  constructor(report: (happening: SyncHappening) => void) {
    this.#report = report;
  }

  take(tables: readonly TableProgress[]): void {
    if (tables.some(({ table }) => !this.#known.has(table)))
      this.#report({ kind: "selected", tables: tables.map(({ table }) => table) });
    for (const now of tables) {
      const { table, pass, splits, splitsDone, counts } = now;
      const before = this.#known.get(table);
      this.#known.set(table, now);
      if (pass !== null && before?.counts.passes.length !== counts.passes.length) {
        const kind = pass as Extract<SyncEvent, { kind: "pass" }>["pass"];
        this.#report({ kind: "pass", table, pass: kind, resumed: false, splits, splitsDone: 0, estimatedRows: null });
      }
      const rows = counts.rowsRead - (before?.counts.rowsRead ?? 0);
      const bytes = counts.bytesRead - (before?.counts.bytesRead ?? 0);
      if (rows > 0) this.#report({ kind: "read", table, rows, bytes, splitsDone });
      const changes = {
        inserted: counts.inserted - (before?.counts.inserted ?? 0),
        updated: counts.updated - (before?.counts.updated ?? 0),
        deleted: counts.deleted - (before?.counts.deleted ?? 0),
      };
      if (changes.inserted !== 0 || changes.updated > 0 || changes.deleted > 0)
        this.#report({ kind: "committed", changes: new Map([[table, changes]]) });
    }
  }

  /** The record says why a table failed; Temporal is not told. */
  end(result: TableRun): void {
    if (this.#ended.has(result.table)) return;
    this.#ended.add(result.table);
    const { error } = result;
    const thrown = error === null ? null : new HeadwatersError(error.code, error.message, hinted(error));
    this.#report({ kind: "finished", result, error: thrown });
  }
}

function hinted({ hint }: NonNullable<TableRun["error"]>): { hint?: string } {
  return hint === null ? {} : { hint };
}
