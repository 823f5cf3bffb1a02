import { type Command } from "commander";
import { sync, type SyncOptions } from "../engine/run/sync.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { connect } from "./connect.ts";
import { syncDisplay } from "./display/sync-display.ts";
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
    .option("--accept-deletes", "go on although more rows would be deleted than maxDeleteFraction allows");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["sync", "every connection of headwaters.yaml, one after the other"],
        ["sync iot --tables sensor_readings,alerts", "two tables of one connection"],
        ["sync iot --sweep --verify", "find deleted rows too, then prove that the copy is right"],
        [
          "sync --source yugabytedb --configuration configuration.json --destination duckdb:warehouse.duckdb",
          "without a file of connections",
        ],
        ["sync --json | jq -c 'select(.kind == \"finished\")'", "for a program"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: SyncFlags) =>
      runCommand(environment, flags, (session) => {
        const { deletes, parallel, full, sweep, verify, acceptScope, acceptDeletes } = flags;
        const syncRequest = { full, sweep, verify, acceptScope, acceptDeletes, tables: narrowed(flags) };
        const overrides = {
          ...(deletes === undefined ? {} : { deletes }),
          ...(parallel === undefined ? {} : { parallel }),
        };
        const request = { ...requestOf(connections, flags), ...overrides };
        return forEachConnection(session, request, (connection) =>
          syncConnection(session, connection, given(syncRequest)),
        );
      }),
    );
}

/** Syncs one connection and shows its progress. */
export async function syncConnection(
  session: Session,
  configured: ConfiguredConnection,
  { verify = false, ...syncRequest }: SyncRequest,
): Promise<Outcome> {
  const { output, json, quiet, signal, tell } = session;
  await using connection = await connect(configured, session, true);
  const synced = await (async () => {
    using display = syncDisplay({
      output,
      tell,
      connection: configured.name,
      json,
      quiet,
      now: () => performance.now(),
    });
    const run = await sync(connection, { ...syncRequest, signal }, (event) => display.event(event));
    const outcome = worst(run.tables.map(outcomeOf));
    display.end(run, outcome);
    return outcome;
  })();
  if (!verify || synced !== "ok") return synced;
  return await verifyOpen(session, connection, syncRequest.tables ?? []);
}

/** The request without `undefined` values. */
function given(syncRequest: { readonly [Key in keyof SyncRequest]: SyncRequest[Key] | undefined }): SyncRequest {
  return Object.fromEntries(Object.entries(syncRequest).filter(([, value]) => value !== undefined)) as SyncRequest;
}
