import { type Command } from "commander";
import type { SyncOptions } from "../engine/run/run.ts";
import { sync } from "../engine/run/sync.ts";
import type { Connection } from "../engine/connection.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import { attemptPlace, AttemptRecord } from "./attempts.ts";
import { type ConfiguredConnection, placeOfCopies, type RawConnection } from "./configuration/resolve.ts";
import { connect } from "./connect.ts";
import { syncDisplay } from "./display/sync-display.ts";
import { dryRun } from "./dry-run.ts";
import { outcomeOf } from "./errors.ts";
import { type Outcome, worst } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  exitCodesHelp,
  narrowed,
  requestOf,
  withOutputOptions,
} from "./options.ts";
import { forEachConnection, type OutputOptions, runCommand, type Session } from "./session.ts";
import { verifyOpen } from "./verify.ts";
import type { Environment } from "./environment.ts";

/** The options of one sync, in addition to the connection's settings. */
export interface SyncRequest extends Omit<SyncOptions, "signal"> {
  /** Whether to compare source and copy after the sync. */
  readonly verify?: boolean;
}

interface SyncFlags extends ConnectionOptions, OutputOptions {
  readonly full?: boolean;
  readonly sweep?: boolean;
  readonly verify?: boolean;
  readonly deletes?: string;
  readonly parallel?: string;
  readonly acceptScope?: boolean;
  readonly acceptDeletes?: boolean;
  readonly dryRun?: boolean;
}

export function syncCommand(environment: Environment): Command {
  const command = connectionCommand("sync")
    .description(
      "Brings copies up to date: reads each table whole the first time, and after that only what changed. Stop it at any time; the next sync goes on from there.",
    )
    .optionsGroup("How to sync:")
    .option("--full", "read every row again; write only what differs, delete what is gone")
    .option("--sweep", "look for deleted rows and changes without a new cursor, even if `deletes` says not yet")
    .option("--verify", "compare source and copy afterwards, as `headwaters verify` does")
    .option("--deletes <when>", "when to look for deletes: auto, each_sync, never, or an interval as 6h")
    .option("--parallel <number>", "splits to read at the same time")
    .option("--accept-scope", "go on although the server, database or selection is another than before")
    .option("--accept-deletes", "go on although more rows would be deleted than maxDeleteFraction allows")
    .option("--dry-run", "show what would be read and why; write nothing");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["sync", "every connection of headwaters.yaml, one after the other"],
        ["sync iot --tables sensor_readings,alerts", "two tables of one connection"],
        ["sync iot --sweep --verify", "find deleted rows too, then prove that the copy is right"],
        [
          "sync --source yugabytedb --configuration configuration.json",
          "without a file of connections, into warehouse.duckdb",
        ],
        ["sync --json | jq -c 'select(.kind == \"finished\")'", "for a program"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: SyncFlags) =>
      runCommand(environment, flags, (session) => {
        const { deletes, parallel, full, sweep, verify, acceptScope, acceptDeletes } = flags;
        const syncRequest = {
          full,
          sweep,
          verify,
          acceptScope,
          acceptDeletes,
          tables: narrowed(requestOf(connections, flags)),
        };
        const overrides = {
          ...(deletes === undefined ? {} : { deletes }),
          ...(parallel === undefined ? {} : { parallel }),
        };
        const request = { ...requestOf(connections, flags), ...overrides };
        if (flags.dryRun === true) {
          const wanted = {
            full: full ?? false,
            sweep: sweep ?? false,
            acceptScope: acceptScope ?? false,
            acceptDeletes: acceptDeletes ?? false,
          };
          return forEachConnection(session, request, (connection) =>
            dryRun(session, connection, syncRequest.tables, wanted),
          );
        }
        return forEachConnection(
          session,
          request,
          (connection) => syncConnection(session, connection, given(syncRequest)),
          { onInvalid: (raw, thrown) => recordInvalid(session, raw, thrown) },
        );
      }),
    );
}

/** Syncs one connection and shows its progress. The attempt is recorded, however it ends. */
export async function syncConnection(
  session: Session,
  configured: ConfiguredConnection,
  { verify = false, ...syncRequest }: SyncRequest,
): Promise<Outcome> {
  const { output, signal } = session;
  const place = attemptPlace(configured.home, configured.name, session.environment.variables);
  const record = new AttemptRecord(place, placeOfCopies(configured), session.log, output.redactor);
  let ended = false;
  try {
    await using connection = await connect(configured, session, true);
    const run = await syncShown(session, connection, { ...syncRequest, id: record.id }, record);
    const synced = worst(run.tables.map(outcomeOf));
    record.end(run);
    ended = true;
    if (!verify || synced !== "ok") return synced;
    return await verifyOpen(session, connection, syncRequest.tables ?? []);
  } catch (thrown) {
    if (!ended) record.fail(thrown, signal.aborted);
    throw thrown;
  }
}

async function syncShown(
  { output, json, quiet, signal, tell, working }: Session,
  connection: Connection,
  options: Omit<SyncOptions, "signal">,
  record: AttemptRecord,
): Promise<RunRecord> {
  using display = syncDisplay({
    output,
    tell,
    connection: connection.name,
    prefix: working.prefix,
    json,
    quiet,
    now: () => performance.now(),
  });
  const run = await sync(connection, { ...options, signal }, (event) => {
    if (event.kind === "finished") record.finished(event.result);
    display.event(event);
  });
  display.end(run, worst(run.tables.map(outcomeOf)));
  return run;
}

/** Records that a sync was attempted with settings that are wrong. */
function recordInvalid({ environment, log, output }: Session, { name, folders }: RawConnection, thrown: unknown): void {
  if (name === null) return;
  const place = attemptPlace(folders.destination, name, environment.variables);
  new AttemptRecord(place, null, log, output.redactor).fail(thrown, false);
}

/** The request without `undefined` values. */
function given(syncRequest: { readonly [Key in keyof SyncRequest]: SyncRequest[Key] | undefined }): SyncRequest {
  return Object.fromEntries(Object.entries(syncRequest).filter(([, value]) => value !== undefined)) as SyncRequest;
}
