import type { StartedSync } from "../../cluster/client.ts";
import type { SyncRequest as StartRequest, TableProgress } from "../../cluster/contract.ts";
import type { SyncEvent, SyncHappening } from "../../engine/events.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { RunRecord, TableRun } from "../../protocol/state-store.ts";
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

export type StartFlags = StartRequest["flags"];

/** Has workers sync a connection, and shows how far they are. */
export async function syncOnTemporal(
  session: Session,
  configured: ConfiguredConnection,
  request: Request,
  syncRequest: SyncRequest,
): Promise<Outcome> {
  const { tables = [], verify: _, ...flags } = syncRequest;
  const { output, json, quiet, tell, working, signal } = session;
  const { name } = configured;
  await using started = await startOnTemporal(session, request.file, name, { ...flags, tables });
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
  const record = await recordOf(session, configured, run);
  for (const table of record.tables) shown.end(table);
  const outcome = ended === "left" || ended.outcome === "stopped" ? "stopped" : worst(record.tables.map(outcomeOf));
  display.end(record, outcome);
  return outcome;
}

/** Starts a sync as the file of connections says. */
export async function startOnTemporal(
  session: Session,
  file: string | undefined,
  name: string,
  flags: StartFlags,
): Promise<StartedSync & AsyncDisposable> {
  const settings = await temporalOf(session, file);
  const request = { names: [name], ...(file === undefined ? {} : { file }) };
  const [raw] = await readConnections(request, { folder: session.environment.folder });
  const { startSync } = await import("../../cluster/client.ts");
  const { heartbeatTimeout } = settings;
  return startSync(settings, { connection: name, fingerprint: fingerprintOf(raw!), heartbeatTimeout, flags });
}

/** The record of a sync that workers made. */
export async function recordOf(session: Session, configured: ConfiguredConnection, run: string): Promise<RunRecord> {
  await using warehouse = await openWarehouse(configured, { ...session, signal: new AbortController().signal }, false);
  const [record] = await warehouse.runs(1, { id: run });
  if (record !== undefined) return record;
  throw new HeadwatersError("DESTINATION_EMPTY", "the sync left no record in the destination");
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
export class Progress {
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
