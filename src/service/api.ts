import { z } from "zod";

/**
 * What the service tells by HTTP under `/api/v1`, as schemas: the answers are checked against them in tests, the page has
 * its types from them, and OpenAPI is generated from them. Names of fields are those of records and events.
 */

const moment = z.iso.datetime().meta({ description: "ISO 8601, UTC." });
const milliseconds = z.number().min(0);
const count = z.number().int().min(0);

export const errorSchema = z.object({
  code: z.string(),
  message: z.string(),
  /** What to do. */
  hint: z.string().nullable(),
  remedy: z.enum(["retry", "reconfigure", "resync", "report"]),
});

/**
 * `problem` asks for a person, `late` is a copy older than its limit, `waiting` retries by itself, `following` brings the copy
 * up to date all the time.
 */
export const connectionState = z.enum(["ok", "running", "following", "late", "waiting", "problem", "paused", "never"]);

export const runKind = z.enum(["sync", "verify", "follow"]);
export const runOutcome = z.enum(["running", "succeeded", "failed", "stopped", "died"]);
export const verdict = z.enum(["CONVERGED", "NOT PROVEN", "DIVERGED"]);

/** A sync, a verify, or one session of following. */
export const runSchema = z.object({
  id: z.string(),
  connection: z.string(),
  kind: runKind,
  /** Who asked for it. */
  trigger: z.enum(["schedule", "retry", "person", "command line"]),
  started: moment,
  ended: moment.nullable(),
  outcome: runOutcome,
  milliseconds,
  tables: z.object({ whole: count, failed: count, stopped: count }),
  rowsRead: count,
  bytesRead: count,
  inserted: count,
  updated: count,
  deleted: count,
  /** The read point of the oldest copy that the run wrote; `null`: not every table ended whole. */
  asOf: moment.nullable(),
  /** Of a verify. */
  verdict: verdict.nullable(),
  error: errorSchema.nullable(),
});

export const tableRunSchema = z.object({
  table: z.string(),
  outcome: z.enum(["running", "whole", "failed", "stopped"]),
  passes: z.array(z.string()),
  rowsRead: count,
  bytesRead: count,
  inserted: count,
  updated: count,
  deleted: count,
  milliseconds,
  asOf: moment.nullable(),
  verdict: verdict.nullable(),
  reasons: z.array(z.string()),
  error: errorSchema.nullable(),
});

/** The state of a stream that is followed. */
const streamSchema = z.object({
  /** The age of the oldest of the last changes when they were committed to the copy; `null`: none came yet. */
  lag: milliseconds.nullable(),
  /** From where on the source keeps its log, as it writes it; likewise: `null`: it has not told yet, or keeps nothing. */
  position: z.string().nullable(),
  retainedBytes: count.nullable(),
  /** The size in bytes at which the log is dropped and tables are read whole; `null`: there is no limit. */
  retainedLimit: count.nullable(),
});

export const connectionSchema = z.object({
  name: z.string(),
  source: z.object({ type: z.string(), title: z.string() }),
  destination: z.object({ type: z.string(), title: z.string(), place: z.string() }),
  state: connectionState,
  /** The state in words, such as "2 tables failed". */
  says: z.string(),
  error: errorSchema.nullable(),
  /** Consecutive failures. */
  failures: count,
  paused: z.boolean(),
  schedule: z.string().nullable(),
  verifySchedule: z.string().nullable(),
  nextRun: moment.nullable(),
  nextVerify: moment.nullable(),
  /** The read point of the oldest copy; `null`: a table was never whole. */
  asOf: moment.nullable(),
  /** How old that may be, in milliseconds. */
  freshness: milliseconds.nullable(),
  rows: count.nullable(),
  tables: count,
  running: runSchema.nullable(),
  /** While the connection is followed, also while a verify runs beside that; else `null`. */
  stream: streamSchema.nullable(),
  lastRun: runSchema.nullable(),
  lastProof: runSchema.nullable(),
  held: z.array(z.object({ table: z.string(), gone: count, of: count })),
});

export const columnSchema = z.object({
  name: z.string(),
  type: z.string(),
  nullable: z.boolean(),
  key: z.boolean(),
});

/** A table as its copy was last written. */
export const tableSchema = z.object({
  table: z.string(),
  rows: count.nullable(),
  asOf: moment.nullable(),
  sweptAt: moment.nullable(),
  columns: z.array(columnSchema),
  cursor: z.string().nullable(),
  /** How it is read and why, in whole sentences. */
  reading: z.array(z.string()),
  open: z.object({ kind: z.string(), splits: count, splitsDone: count }).nullable(),
  held: z.object({ gone: count, of: count }).nullable(),
  last: tableRunSchema.nullable(),
});

export const schemaChangeSchema = z.object({
  at: moment,
  connection: z.string(),
  table: z.string(),
  /** Such as `column "email" added as STRING`. */
  change: z.string(),
});

export const logLineSchema = z.object({
  at: moment,
  level: z.enum(["debug", "info", "warn", "error"]),
  message: z.string(),
});

/** The live state of one table of a run: what the terminal's live table shows. */
export const progressSchema = z.object({
  table: z.string(),
  state: z.enum(["waiting", "reading", "settling", "whole", "failed", "stopped", "verifying"]),
  pass: z.string().nullable(),
  rows: count,
  bytes: count,
  rowsPerSecond: z.number().min(0),
  estimatedRows: count.nullable(),
  splits: count,
  splitsDone: count,
  /** Rows of the copy that were changed so far. */
  written: count,
  /** Milliseconds that are left; `null`: unknown. */
  left: milliseconds.nullable(),
  note: z.string().nullable(),
});

/** Events by SSE: `id` numbers them, so that a reader resumes by `Last-Event-ID`. */
export const eventSchema = z.discriminatedUnion("kind", [
  /** Sent first, and when too much was missed: read everything again. */
  z.object({ kind: z.literal("hello"), version: z.string(), started: moment }),
  z.object({ kind: z.literal("connection"), connection: connectionSchema }),
  z.object({ kind: z.literal("removed"), connection: z.string() }),
  z.object({ kind: z.literal("run"), run: runSchema }),
  /** At most four times a second for a run. Only tables that changed since the last one. */
  z.object({ kind: z.literal("progress"), run: z.string(), connection: z.string(), tables: z.array(progressSchema) }),
  z.object({ kind: z.literal("log"), run: z.string(), connection: z.string(), line: logLineSchema }),
  /** The file of connections was read again; `error`: the new file is not used. */
  z.object({ kind: z.literal("configuration"), error: errorSchema.nullable() }),
]);

/**
 * The actions of a person. Actions that agree to something carry the numbers that the person saw. An unknown field is
 * an error, so that a typo is not ignored.
 */
export const actionSchema = z.discriminatedUnion("action", [
  z.strictObject({
    action: z.literal("sync"),
    tables: z.array(z.string()).optional(),
    sweep: z.boolean().optional(),
    full: z.boolean().optional(),
  }),
  z.strictObject({ action: z.literal("verify"), tables: z.array(z.string()).optional() }),
  z.strictObject({ action: z.literal("stop") }),
  z.strictObject({ action: z.literal("pause") }),
  z.strictObject({ action: z.literal("resume") }),
  z.strictObject({ action: z.literal("accept-deletes"), table: z.string(), gone: count, of: count }),
  z.strictObject({ action: z.literal("accept-scope"), table: z.string() }),
]);

/** By method and path, below `/api/v1`: what is answered. */
export const answers = {
  "GET /service": z.object({
    version: z.string(),
    started: moment,
    file: z.string(),
    configuration: errorSchema.nullable(),
    concurrency: count,
    memoryBytes: count.nullable(),
    alerts: z.array(z.object({ name: z.string(), url: z.string() })),
  }),
  "GET /connections": z.array(connectionSchema),
  "GET /connections/{name}": connectionSchema,
  "GET /connections/{name}/tables": z.array(tableSchema),
  /** Newest first; query: `kind`, `limit` (≤ 500), `before` (a moment). */
  "GET /connections/{name}/runs": z.array(runSchema),
  "GET /connections/{name}/schema-changes": z.array(schemaChangeSchema),
  /** The tables of the run that is under way. */
  "GET /connections/{name}/progress": z.array(progressSchema),
  "GET /runs/{id}": z.object({ run: runSchema, tables: z.array(tableRunSchema) }),
  /** Query: `search`, `limit` (≤ 5000). */
  "GET /runs/{id}/log": z.array(logLineSchema),
  /** Body: {@link actionSchema}. */
  "POST /connections/{name}/actions": z.object({ run: z.string().nullable(), says: z.string() }),
  "POST /alerts/{name}/test": z.object({ says: z.string() }),
} as const;

export type ErrorReport = z.output<typeof errorSchema>;
export type Run = z.output<typeof runSchema>;
export type TableRunReport = z.output<typeof tableRunSchema>;
export type StreamReport = z.output<typeof streamSchema>;
export type ConnectionReport = z.output<typeof connectionSchema>;
export type TableReport = z.output<typeof tableSchema>;
export type SchemaChange = z.output<typeof schemaChangeSchema>;
export type LogLine = z.output<typeof logLineSchema>;
export type TableProgress = z.output<typeof progressSchema>;
export type ServiceEvent = z.output<typeof eventSchema>;
export type Action = z.output<typeof actionSchema>;
