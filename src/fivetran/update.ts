import { defaultSettings, type SyncConnection } from "../engine/connection.ts";
import type { SyncEvent } from "../engine/events.ts";
import { sync } from "../engine/run/sync.ts";
import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { SourceCapabilities } from "../protocol/source.ts";
import { type RetryPolicy, withRetries } from "../net/retry.ts";
import { selects } from "../toolkit/patterns.ts";
import { type FormSelection, formSelection } from "./form-selection.ts";
import type { Severe } from "./log.ts";
import { openSource } from "./open-source.ts";
import { type MessageStream, ResponseStream } from "./response-stream.ts";
import type { Protocol, UpdateRequest } from "./protocol.ts";
import type { ServedSource } from "./served-source.ts";
import { FivetranDestination } from "./destination.ts";
import { type FivetranState, parseState } from "./state-json.ts";
import { explain, isTask } from "./status.ts";

/** How many warnings one sync sends; others are only logged. */
const mostWarnings = 20;

/** How often the steps before the first read are tried; splits are tried again by the engine. */
const tries = 3;

/** What one call of `Update` works with. */
export interface UpdateContext {
  readonly served: ServedSource;
  readonly protocol: Protocol;
  readonly log: Log & Severe;
  readonly stream: MessageStream;
  /** Aborted once nobody reads the stream any more. */
  readonly gone: AbortSignal;
  /** Aborted when the server stops: what is complete still gets its checkpoint. */
  readonly stopping: AbortSignal;
}

/**
 * One sync, as a stream of messages. An error that the user must fix is sent as a task. Throws every other error: the call
 * ends with its status.
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
    await responses.write({ task: { message } });
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
  const selected = formSelection(request.selection, open.schema);
  const of = { source: definition.name, schema: open.schema, checkpointRows };
  await using destination = new FivetranDestination(
    of,
    withSelection(state, selected, definition.capabilities.schema),
    responses,
  );
  for (const table of destination.damaged) {
    log.warn(
      `table "${table}": what the state remembers of its rows is damaged and was dropped; its next full read sends every row.`,
    );
  }
  if (deletes === "auto") warnOfLarge(state, log);
  const connection: SyncConnection = {
    name: definition.name,
    source: open.source,
    capabilities: definition.capabilities,
    warehouse: destination,
    scope: open.scope,
    sameScopes: open.sameScopes,
    selection: selected.selection,
    tables: selected.tables,
    // The destination decides how often a commit becomes a checkpoint.
    settings: {
      ...defaultSettings,
      deletes,
      maxDeleteFraction,
      commitMilliseconds: 1_000,
      commitRows: checkpointRows,
    },
    log,
  };
  const { failures, dropped } = await syncTables(connection, context, signal);
  gone.throwIfAborted();
  if (dropped.length > 0) {
    await destination.forget(dropped);
    for (const table of dropped) {
      log.warn(
        `table "${table}" is no longer in the source, or this user may no longer see it. What the destination has of it stays; it is not looked for again, and read fully if it comes back.`,
      );
    }
  }
  await destination.end();
  stopping.throwIfAborted();
  const worst = failures.find(isTask) ?? failures[0];
  for (const failure of failures) {
    if (failure !== worst) await responses.write({ warning: { message: served.redact(explain(failure)) } });
  }
  if (worst !== undefined) throw worst;
}

/**
 * Tables that are too large for row digests are read whole once a week: until then, a row that the cursor does not show is
 * not sent either. A stream shows all of them.
 */
function warnOfLarge({ notes, document }: FivetranState, log: Log): void {
  const known = [
    ...document.passes.flatMap(({ tables }) => tables),
    ...Object.values(document.tables).map(({ table }) => table),
  ];
  const streamed = new Set(known.filter((table) => table.streamed === true).map(({ id }) => id));
  const large = [...notes].filter(([table, { tooMany }]) => tooMany && !streamed.has(table)).map(([table]) => table);
  if (large.length === 0) return;
  log.warn(
    `deletes: auto looks once a week for deletes in tables with very many rows, and for rows whose cursor is NULL or was set back: ${large.slice(0, 5).join(", ")}${large.length > 5 ? ` and ${large.length - 5} more` : ""}. Set daily if you need them sooner; each time every row is written again.`,
  );
}

/** Resolves to the errors of the tables that failed, and to the tables that are gone from the source. */
async function syncTables(
  connection: SyncConnection,
  { log }: UpdateContext,
  signal: AbortSignal,
): Promise<{ readonly failures: readonly HeadwatersError[]; readonly dropped: readonly string[] }> {
  const policy: RetryPolicy = {
    attempts: tries,
    onRetry: (_, error, milliseconds) => log.warn(`${explain(error)}; tried again in ${milliseconds} ms`),
  };
  return withRetries(null, signal, policy, async () => {
    const failures: HeadwatersError[] = [];
    const dropped: string[] = [];
    await sync(connection, { signal }, (event) => {
      logEvent(event, log);
      if (event.kind !== "finished" || event.error === null) return;
      if (event.error.code === "TABLE_UNKNOWN") dropped.push(event.result.table);
      else failures.push(event.error);
    });
    return { failures, dropped };
  });
}

function logEvent(event: SyncEvent, log: Log & Severe): void {
  if (event.kind === "pass") {
    const { table, pass, resumed, splits } = event;
    log.info(`table "${table}": ${resumed ? "continues a" : "begins a"} ${pass} pass of ${splits} splits`);
  } else if (event.kind === "retry") {
    log.warn(`table "${event.table}": ${explain(event.error)}; tried again in ${event.milliseconds} ms`);
  } else if (event.kind === "finished") {
    const { table, outcome, rowsRead, inserted, updated, deleted, milliseconds } = event.result;
    const sent = inserted + updated;
    if (event.error !== null && event.error.code !== "TABLE_UNKNOWN") log.severe(explain(event.error));
    log.info(
      `table "${table}": ${outcome}, ${rowsRead} rows read, ${sent} sent, ${deleted} deleted in ${milliseconds} ms`,
    );
  }
}

/** Also shows warnings of the source in Fivetran, each of them once. */
function withWarnings({ log, served, gone }: UpdateContext, responses: ResponseStream): Log {
  const sent = new Set<string>();
  return {
    debug: (message) => log.debug(message),
    info: (message) => log.info(message),
    warn(message) {
      log.warn(message);
      if (gone.aborted || sent.has(message) || sent.size === mostWarnings) return;
      sent.add(message);
      // Ignored here: if the reader is gone, sending the next rows reports it.
      responses.write({ warning: { message: served.redact(message) } }).catch(() => {});
    },
  };
}

/**
 * Drops what is known of tables that are no longer selected: if they are selected again, they are read fully. The same
 * holds for tables whose columns are inferred, if other columns are selected than before: the engine assumes that no
 * earlier row had a new column.
 */
function withSelection(
  { document, notes, truncated, columns: before }: FivetranState,
  { selection, columns }: FormSelection,
  schema: SourceCapabilities["schema"],
): FivetranState {
  const keeps = (id: string): boolean =>
    selects(selection, id) && (schema === "declared" || before[id] === columns[id]);
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
    columns,
  };
}
