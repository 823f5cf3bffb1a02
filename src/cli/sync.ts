import { type Command, Option } from "commander";
import type { SyncOptions } from "../engine/run/run.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Request } from "./configuration/load.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
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
import { recordedProof, recordedSync, recordInvalid } from "./recorded.ts";
import { forEachConnection, type OutputOptions, runCommand, runContext, type Session } from "./session.ts";
import { verifyShown } from "./verify.ts";
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
  readonly on?: string;
}

export function syncCommand(environment: Environment): Command {
  const command = connectionCommand("sync")
    .description(
      "Brings copies up to date. The first sync reads each table whole, later ones only what changed. You can stop it at any time: the next sync continues from there.",
    )
    .optionsGroup("How to sync:")
    .option("--full", "read every row again; write only differences, delete missing rows")
    .option(
      "--sweep",
      "look for deleted rows, and for changes without a new cursor, even if `deletes` does not require it yet",
    )
    .option("--verify", "compare source and copy afterwards, like `headwaters verify`")
    .option("--deletes <when>", "when to look for deletes: auto, each_sync, never, or an interval such as 6h")
    .option("--parallel <number>", "how many splits to read at the same time")
    .option("--accept-scope", "continue although the server, database or selection has changed")
    .option("--accept-deletes", "continue although more rows would be deleted than maxDeleteFraction allows")
    .addOption(
      new Option("--on <engine>", "let workers on any number of machines do it (headwaters worker)").choices([
        "temporal",
      ]),
    )
    .option("--dry-run", "show what a sync would read, and why; write nothing");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["sync", "every connection of headwaters.yaml, one after the other"],
        ["sync iot --tables sensor_readings,alerts", "two tables of one connection"],
        ["sync iot --sweep --verify", "find deleted rows too, then compare source and copy"],
        [
          "sync --source yugabytedb --configuration configuration.json",
          "without a file of connections, into warehouse.duckdb",
        ],
        ["sync --json | jq -c 'select(.kind == \"finished\")'", "for a program"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: SyncFlags) =>
      runCommand(
        environment,
        flags,
        (session) => {
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
          if (flags.on === "temporal") return onTemporal(session, request, given(syncRequest));
          return forEachConnection(
            session,
            request,
            (connection) => syncConnection(session, connection, given(syncRequest)),
            { onInvalid: (raw, thrown) => recordInvalid(runContext(session), raw, { kind: "sync" }, thrown) },
          );
        },
        flags.on === "temporal" ? mostAsking : undefined,
      ),
    );
}

/** How long Ctrl-C waits for the answer whether the workers should stop too, in milliseconds. */
const mostAsking = 600_000;

/** Loads Temporal's packages only if they are needed. */
async function onTemporal(session: Session, request: Request, syncRequest: SyncRequest): Promise<Outcome> {
  const beside = ["source", "exclude", "deletes", "parallel"].find((flag) => flag in request);
  if (beside !== undefined || syncRequest.verify === true) {
    const flag = beside ?? "verify";
    throw new HeadwatersError("CONFIGURATION_INVALID", `--${flag} can't be used with --on temporal.`, {
      hint: "Put it into headwaters.yaml, which workers read. To verify, run headwaters verify afterwards.",
    });
  }
  const { syncOnTemporal } = await import("./temporal/sync.ts");
  return forEachConnection(
    session,
    request,
    (connection) => syncOnTemporal(session, connection, request, syncRequest),
    {
      together: true,
    },
  );
}

/** Syncs one connection and shows its progress. The attempt is recorded, however it ends. */
export async function syncConnection(
  session: Session,
  configured: ConfiguredConnection,
  { verify = false, ...syncRequest }: SyncRequest,
): Promise<Outcome> {
  const { output, json, quiet, tell, working } = session;
  using display = syncDisplay({
    output,
    tell,
    connection: configured.name,
    prefix: working.prefix,
    json,
    quiet,
    now: () => performance.now(),
  });
  const context = runContext(session);
  return recordedSync(
    context,
    configured,
    syncRequest,
    (event) => display.event(event),
    async (connection, run) => {
      const synced = worst(run.tables.map(outcomeOf));
      display.end(run, synced);
      if (!verify || synced !== "ok") return synced;
      return verifyShown(session, connection.name, (report) =>
        recordedProof(context, configured, connection, { tables: syncRequest.tables ?? [] }, report),
      );
    },
  );
}

/** The request without `undefined` values. */
function given(syncRequest: { readonly [Key in keyof SyncRequest]: SyncRequest[Key] | undefined }): SyncRequest {
  return Object.fromEntries(Object.entries(syncRequest).filter(([, value]) => value !== undefined)) as SyncRequest;
}
