import { z } from "zod";
import { defaultSettings } from "../../engine/connection.ts";
import { parseSchedule, type Schedule } from "../../service/schedule.ts";
import { bytesText, durationText, parseBytes, parseDuration } from "../../toolkit/quantities.ts";
import { inAnyCase, typeSetting } from "../../toolkit/settings.ts";

/** Converts text to a number, because values from `${ENV}` are always text. */
function numeric(value: unknown): unknown {
  return typeof value === "string" && numericForm.test(value) ? Number(value) : value;
}

const numericText = String.raw`^\d+(\.\d+)?$`;
const numericForm = new RegExp(numericText);

export function whole(least: number, most: number) {
  return z.preprocess(numeric, z.number().int().min(least).max(most)).meta({ text: numericText });
}

/** Of an amount with its unit, for editors. Values from `${ENV}` are checked when they are known. */
function amounts(...units: readonly string[]): string {
  return `\\d+(\\.\\d+)?\\s*(${units.map(inAnyCase).join("|")})`;
}

const durations = amounts("ms", "s", "m", "h", "d");
const sizes = amounts("B", "KB", "MB", "GB", "KiB", "MiB", "GiB");

function quantity(parse: (text: string) => number | null, what: string, pattern: string) {
  return z.preprocess(
    (value) => (typeof value === "number" ? String(value) : value),
    z
      .string()
      .meta({ pattern: `^\\s*${pattern}\\s*$|\\$\\{` })
      .transform((text, context) => {
        const parsed = parse(text);
        if (parsed !== null && parsed > 0) return parsed;
        context.addIssue({ code: "custom", message: `must be ${what}` });
        return z.NEVER;
      }),
  );
}

export const duration = quantity(parseDuration, "a duration with its unit: 500ms, 30s, 5m, 6h, 1d", durations);
export const size = quantity(parseBytes, "a size with its unit: 512KB, 64MB, 1GB", sizes);

const names = z.array(z.string().min(1));

/** Converts the short form `[a, b]` to `{ include: [a, b] }`. */
function listed(value: unknown): unknown {
  return Array.isArray(value) ? { include: value } : value;
}

const selection = z.preprocess(
  listed,
  z.strictObject({
    include: names.default([]).meta({ description: "Tables to sync: names, or patterns with *. Empty: all tables." }),
    exclude: names.default([]).meta({ description: "Tables to leave out: names, or patterns with *." }),
  }),
);

const columns = z.preprocess(
  listed,
  z.strictObject({
    include: names.default([]).meta({
      description: "Columns to copy: names, or patterns with *. Empty: all columns. The key must be included.",
    }),
    exclude: names.default([]).meta({ description: "Columns to leave out: names, or patterns with *." }),
    rename: z
      .record(z.string(), z.string().min(1))
      .default({})
      .meta({ description: "New names of columns: the name in the source, then the name in the destination." }),
  }),
);

/** One of `words`, or an interval in milliseconds, as in `deletes: 6h`. */
function wordOrInterval<Word extends string>(...words: readonly Word[]) {
  return z.preprocess(
    (value) => (typeof value === "number" ? String(value) : value),
    z
      .string()
      .meta({ pattern: `^(${words.join("|")}|\\s*${durations}\\s*)$|\\$\\{` })
      .transform((text, context): Word | number => {
        const word = words.find((candidate) => candidate === text);
        if (word !== undefined) return word;
        const interval = parseDuration(text);
        if (interval !== null && interval > 0) return interval;
        context.addIssue({ code: "custom", message: `must be ${words.join(", ")}, or an interval as 30m, 6h, 1d` });
        return z.NEVER;
      }),
  );
}

const deletesSetting = wordOrInterval("auto", "each_sync", "never");
const rereadSetting = wordOrInterval("auto", "never");

/** `15m`, `0 3 * * *`, `0 3 * * * Europe/Berlin`, or one of `words`. */
function scheduleSetting<Word extends string = never>(...words: readonly Word[]) {
  const moments = `\\s*${durations}\\s*|\\s*\\S+(\\s+\\S+){4,5}\\s*`;
  return z
    .string()
    .meta({ pattern: `^(${[...words, moments].join("|")})$|\\$\\{` })
    .transform((text, context): Schedule | Word => {
      const parsed = words.find((word) => word === text.trim()) ?? parseSchedule(text);
      if (typeof parsed !== "string" || words.some((word) => word === parsed)) return parsed as Schedule | Word;
      context.addIssue({ code: "custom", message: [parsed, ...words].join(", or ") });
      return z.NEVER;
    });
}

const maxDeleteFraction = z.preprocess(numeric, z.number().min(0).max(1)).meta({ text: numericText });
const schemaChanges = z.enum(["allow_all", "allow_columns", "block_all"]);
const deletion = z.enum(["soft", "hard"]);

const override = z.strictObject({
  columns: columns.optional().meta({
    description:
      "Which columns are copied, and their names. A list of names or patterns with *, or include and exclude.",
  }),
  filter: z
    .union([z.string().trim().min(1), z.record(z.string(), z.unknown())], {
      error: "must be text, or a mapping of fields",
    })
    .optional()
    .meta({
      description:
        "A condition in the language of the source: SQL, CQL restrictions, or a mapping of RethinkDB's fields. Only rows that match it are copied.",
    }),
  rename: z.string().min(1).optional().meta({ description: "The name of the table in the destination." }),
  mode: z.enum(["incremental", "full"]).optional().meta({
    description:
      "full: each sync reads the whole table. incremental: an error if nothing shows what changed. Absent: incremental if possible.",
  }),
  cursor: z.string().min(1).nullable().optional().meta({
    description: "The timestamp column that shows when a row changed. null: read this table without one.",
  }),
  types: z
    .record(z.string(), typeSetting)
    .default({})
    .meta({ description: "Types of columns, instead of the detected types." }),
  deletes: deletesSetting.optional().meta({ description: "The setting of the connection, for this table." }),
  reread: rereadSetting.optional().meta({ description: "The setting of the connection, for this table." }),
  deletion: deletion.optional().meta({ description: "The setting of the connection, for this table." }),
  maxDeleteFraction: maxDeleteFraction
    .optional()
    .meta({ description: "The setting of the connection, for this table." }),
  schemaChanges: schemaChanges.optional().meta({ description: "The setting of the connection, for this table." }),
});

const kind = z.looseObject({ type: z.string().min(1) });

const parallelSetting = whole(1, 64);

/** An entry below `connections:`. The settings of `source` and `destination` are checked by their own schemas. */
export const connectionSchema = z.strictObject({
  source: kind.meta({ description: "The database to read from: its type and settings." }),
  destination: kind.meta({
    description: "The warehouse to write to: its type and settings, or an address such as duckdb:warehouse.duckdb.",
  }),
  schema: z.string().min(1).optional().meta({
    description: "The schema in the destination. Absent: the name of the source's schema, keyspace or database.",
  }),
  tables: selection.default({ include: [], exclude: [] }).meta({
    description: "Which tables are synced: a list of names or patterns with *, or include and exclude.",
  }),
  overrides: z
    .record(z.string(), override)
    .default({})
    .meta({ description: "Settings for individual tables, by their names in the source." }),
  types: z.enum(["exact", "example"]).default("exact").meta({
    description: "exact: no value loses a digit. example: the types of the published connector example of this source.",
  }),
  deletes: deletesSetting.default(defaultSettings.deletes).meta({
    description:
      "When a sync looks for deletes: auto (each sync if that takes seconds, otherwise once a day), each_sync, never, or an interval such as 6h. never turns off sweeps that would only find deletes: tables whose cursor column does not show every change are still swept.",
  }),
  reread: rereadSetting.default(defaultSettings.reread).meta({
    description:
      "When all rows are read again, even if nothing shows that they changed: auto (7 days for Cassandra, ScyllaDB and tables that follow a stream; others never), never, or an interval such as 30d.",
  }),
  deletion: deletion.default("soft").meta({
    description: "soft: deleted rows stay in the copy and are marked. hard: they are removed.",
  }),
  views: z.enum(["none", "live"]).default("none").meta({
    description:
      "live: each copy has a view without deleted rows and without system columns, in a schema of its own: <schema>_live.",
  }),
  maxDeleteFraction: maxDeleteFraction.default(defaultSettings.maxDeleteFraction).meta({
    description:
      "The delete limit: the fraction of a copy's rows, 0 to 1, that one sync may delete. More deletes are held back until you agree. Other changes are written. 1 allows everything.",
  }),
  schemaChanges: schemaChanges.default(defaultSettings.schemaChanges).meta({
    description:
      "What the copy takes over from the source by itself: new tables and changed columns, only changed columns, or nothing.",
  }),
  systemColumnPrefix: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must begin with a letter or _, followed by letters, digits and _")
    .default("_headwaters")
    .meta({
      description:
        "The system columns are called <prefix>_synced and <prefix>_deleted. _fivetran fits existing dbt models.",
    }),
  parallel: parallelSetting.default(defaultSettings.parallel).meta({
    description:
      "How many splits are read at the same time. A sync uses up to two connections to the source for each of them (Redis, Valkey and DragonflyDB: three), and one more.",
  }),
  memory: size.prefault(bytesText(defaultSettings.memoryBytes)).meta({
    description: "The most memory for rows that wait for the destination, approximately.",
  }),
  batchSize: size
    .prefault(bytesText(defaultSettings.batchBytes))
    .meta({ description: "The size of one batch of rows, approximately." }),
  commitInterval: duration.optional().meta({
    description: `The longest time between two commits while rows arrive. Absent: ${durationText(defaultSettings.commitMilliseconds)}. Under follow, the shortest time between two commits. Absent: 500ms into PostgreSQL, 1s into DuckDB, 60s into DuckLake.`,
  }),
  interval: duration.prefault("15m").meta({
    description: "Under follow: how often tables are synced that have no stream.",
  }),
  commitRows: whole(1, 1_000_000_000).optional().meta({
    description:
      "A commit is also made after this many rows. The published examples make a checkpoint every 1000 rows.",
  }),
  maxRowsPerSecond: whole(1, 1_000_000_000).optional().meta({
    description: "The most rows that are read from the source in one second.",
  }),
  schedule: scheduleSetting("follow").optional().meta({
    description:
      "When headwaters up syncs: an interval such as 15m; a cron expression, in UTC or with a time zone: 0 3 * * * Europe/Berlin; or follow: all the time, by the stream of the source. Absent: only when a person asks.",
  }),
  verify: scheduleSetting().optional().meta({
    description: "When headwaters up verifies: an interval, or a cron expression.",
  }),
  freshness: duration.optional().meta({
    description: "How old a copy may be before headwaters up reports it as late, such as 1h.",
  }),
  attempts: whole(1, 100).default(defaultSettings.attempts).meta({
    description: "How often one split is tried before its table fails.",
  }),
});

export type ConnectionEntry = z.output<typeof connectionSchema>;
export type Override = z.output<typeof override>;
