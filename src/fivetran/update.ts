import { defaultSettings, type SyncConnection } from "../engine/connection.ts";
import type { SyncEvent } from "../engine/events.ts";
import { sync } from "../engine/run/sync.ts";
import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { SourceCapabilities } from "../protocol/source.ts";
import { type RetryPolicy, withRetries } from "../net/retry.ts";
import { type Chosen, chosen } from "./chosen.ts";
import type { Severe } from "./log.ts";
import { openSource } from "./open-source.ts";
import { type MessageStream, ResponseStream } from "./response-stream.ts";
import type { Protocol, UpdateRequest } from "./protocol.ts";
import { SelectedSource } from "./selected-source.ts";
import type { ServedSource } from "./served-source.ts";
import { FivetranDestination } from "./destination.ts";
import { type FivetranState, parseState } from "./state-json.ts";
import { explain, isTask } from "./status.ts";

/** Warnings that one sync sends; more are in the log alone. */
const mostWarnings = 20;

/** Tries of what comes before any table is read; reading itself is tried again split by split. */
const tries = 3;

/** What a call of `Update` runs with. */
export interface UpdateContext {
  readonly served: ServedSource;
  readonly protocol: Protocol;
  readonly log: Log & Severe;
  readonly stream: MessageStream;
  /** Aborted when nobody reads the stream any more. */
  readonly gone: AbortSignal;
  /** Aborted when the server is to end: what is complete still gets its checkpoint. */
  readonly stopping: AbortSignal;
}

/**
 * One sync, as a stream of messages. What the user must mend is said as a task. Throws what else went wrong: the call
 * then ends with its status.
 */
export async function update(request: UpdateRequest, context: UpdateContext): Promise<void> {
  const { served, protocol, stream, gone } = context;
  const responses = new ResponseStream(stream, protocol, gone);
  try {
    await run(request, responses, context);
  } catch (thrown) {
    gone.throwIfAborted();
    const error = asHeadwatersError(thrown);
    if (!isTask(error)) throw error;
    const message = served.redact(explain(error));
    context.log.severe(message);
    await responses.tell({ task: { message } });
  }
}

async function run(request: UpdateRequest, responses: ResponseStream, context: UpdateContext): Promise<void> {
  const { served, gone, stopping } = context;
  const { definition } = served;
  const signal = AbortSignal.any([gone, stopping]);
  const log = withWarnings(context, responses);
  const state = parseState(request.stateJson ?? "", definition);
  await using open = await openSource(served, request.configuration, log, signal);
  const { deletes, checkpointRows, maxDeleteFraction } = open.options;
  const selection = chosen(request.selection, open.schema);
  const of = { source: definition.name, schema: open.schema, checkpointRows };
  await using sink = new FivetranDestination(
    of,
    withChosen(state, selection, definition.capabilities.schema),
    responses,
  );
  const connection: SyncConnection = {
    name: definition.name,
    source: new SelectedSource(open.source, selection),
    capabilities: definition.capabilities,
    warehouse: sink,
    scope: open.scope,
    selection: { include: [], exclude: [] },
    // How often a commit becomes a checkpoint is the sink's to say.
    settings: { ...defaultSettings, deletes, maxDeleteFraction, commitMilliseconds: 1_000 },
    log,
  };
  const failures = await syncTables(connection, context, signal);
  gone.throwIfAborted();
  await sink.end();
  stopping.throwIfAborted();
  const worst = failures.find(isTask) ?? failures[0];
  for (const failure of failures) {
    if (failure !== worst) await responses.tell({ warning: { message: served.redact(explain(failure)) } });
  }
  if (worst !== undefined) throw worst;
}

/** Resolves to what tables failed of. */
async function syncTables(
  connection: SyncConnection,
  { log }: UpdateContext,
  signal: AbortSignal,
): Promise<readonly HeadwatersError[]> {
  const policy: RetryPolicy = {
    attempts: tries,
    again: ({ remedy }) => remedy === "retry",
    onRetry: (_, error, milliseconds) => log.warn(`${explain(error)}; tried again in ${milliseconds} ms`),
  };
  return withRetries(null, signal, policy, async () => {
    const failures: HeadwatersError[] = [];
    await sync(connection, { signal }, (event) => {
      tell(event, log);
      if (event.kind === "finished" && event.error !== null) failures.push(event.error);
    });
    return failures;
  });
}

function tell(event: SyncEvent, log: Log & Severe): void {
  if (event.kind === "pass") {
    const { table, pass, resumed, splits } = event;
    log.info(`table "${table}": ${resumed ? "goes on with a" : "begins a"} ${pass} pass of ${splits} splits`);
  } else if (event.kind === "retry") {
    log.warn(`table "${event.table}": ${explain(event.error)}; tried again in ${event.milliseconds} ms`);
  } else if (event.kind === "finished") {
    const { table, outcome, rowsRead, inserted, updated, deleted, milliseconds } = event.run;
    const sent = inserted + updated;
    if (event.error !== null) log.severe(explain(event.error));
    log.info(
      `table "${table}": ${outcome}, ${rowsRead} rows read, ${sent} sent, ${deleted} deleted in ${milliseconds} ms`,
    );
  }
}

/** What the source warns of is shown in Fivetran too, each thing once. */
function withWarnings({ log, served, gone }: UpdateContext, responses: ResponseStream): Log {
  const told = new Set<string>();
  return {
    debug: (message) => log.debug(message),
    info: (message) => log.info(message),
    warn(message) {
      log.warn(message);
      if (gone.aborted || told.has(message) || told.size === mostWarnings) return;
      told.add(message);
      // Where the reader has gone meanwhile, whoever sends rows is told.
      responses.tell({ warning: { message: served.redact(message) } }).catch(() => {});
    },
  };
}

/**
 * What is known of tables that are not chosen any more is forgotten: chosen again, they are read fully. So are tables
 * whose columns are inferred, where others are chosen than before: a column that is new must be one that no row had.
 */
function withChosen(
  { document, notes, truncated, columns: before }: FivetranState,
  selection: Chosen,
  schema: SourceCapabilities["schema"],
): FivetranState {
  const keeps = (id: string): boolean =>
    selection.table(id) && (schema === "declared" || before[id] === selection.columns[id]);
  const passes = document.passes.filter((pass) => pass.tables.every(({ id }) => keeps(id)));
  const ids = new Set(passes.map(({ id }) => id));
  const tables = Object.entries(document.tables).filter(([id]) => keeps(id));
  return {
    document: {
      ...document,
      tables: Object.fromEntries(tables),
      passes,
      progress: document.progress.filter(({ pass }) => ids.has(pass)),
    },
    notes: new Map([...notes].filter(([id]) => keeps(id))),
    truncated,
    columns: selection.columns,
  };
}
