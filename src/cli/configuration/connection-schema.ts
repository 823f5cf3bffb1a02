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
    include: names
      .default([])
      .meta({ description: "Tables to sync, by name or pattern with *; all where it is empty." }),
    exclude: names.default([]).meta({ description: "Tables to leave out, by name or pattern with *." }),
  }),
);

const columns = z.preprocess(
  listed,
  z.strictObject({
    include: names.default([]).meta({
      description: "Columns to copy, by name or pattern with *; all where it is empty. The key must be among them.",
    }),
    exclude: names.default([]).meta({ description: "Columns to leave out, by name or pattern with *." }),
    rename: z
      .record(z.string(), z.string().min(1))
      .default({})
      .meta({ description: "Names in the destination, by the name in the source." }),
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
      "Which columns are copied: a list, or include and exclude, of names or patterns with *; and their names.",
  }),
  filter: z
    .union([z.string().trim().min(1), z.record(z.string(), z.unknown())], {
      error: "must be text, or a mapping of fields",
    })
    .optional()
    .meta({
      description:
        "Only rows that fulfil it are copied. In the source's language: an SQL condition, CQL restrictions, or a mapping of RethinkDB's fields.",
    }),
  rename: z.string().min(1).optional().meta({ description: "The name of the table in the destination." }),
  mode: z.enum(["incremental", "full"]).optional().meta({
    description:
      "full: read whole in each sync; incremental: refused where nothing tells what changed. Absent: incremental where it can be.",
  }),
  cursor: z.string().min(1).nullable().optional().meta({
    description: "The timestamp column that says when a row changed; null: read this table without one.",
  }),
  types: z
    .record(z.string(), typeSetting)
    .default({})
    .meta({ description: "Types that replace the detected ones, by column." }),
  deletes: deletesSetting.optional().meta({ description: "As the connection's, for this table." }),
  reread: rereadSetting.optional().meta({ description: "As the connection's, for this table." }),
  deletion: deletion.optional().meta({ description: "As the connection's, for this table." }),
  maxDeleteFraction: maxDeleteFraction.optional().meta({ description: "As the connection's, for this table." }),
  schemaChanges: schemaChanges.optional().meta({ description: "As the connection's, for this table." }),
});

const kind = z.looseObject({ type: z.string().min(1) });

const parallelSetting = whole(1, 64);

/** An entry below `connections:`. The settings of `source` and `destination` are checked by their own schemas. */
export const connectionSchema = z.strictObject({
  source: kind.meta({ description: "The database to read from: its type and settings." }),
  destination: kind.meta({
    description: "The warehouse to write to: its type and settings, or an address as duckdb:warehouse.duckdb.",
  }),
  schema: z.string().min(1).optional().meta({
    description: "The schema in the destination; else named as the source's schema, keyspace or database.",
  }),
  tables: selection.default({ include: [], exclude: [] }).meta({
    description: "Which tables are synced: a list, or include and exclude, of names or patterns with *.",
  }),
  overrides: z
    .record(z.string(), override)
    .default({})
    .meta({ description: "What is otherwise for single tables, by their names in the source." }),
  types: z.enum(["exact", "example"]).default("exact").meta({
    description: "exact: no value loses a digit; example: the types of the published connector example of this source.",
  }),
  deletes: deletesSetting.default(defaultSettings.deletes).meta({
    description:
      "When deletes are looked for: auto (with each sync where that takes seconds, else once a day), each_sync, never, or an interval as 6h. A table whose cursor column does not show every change is swept for those all the same.",
  }),
  reread: rereadSetting.default(defaultSettings.reread).meta({
    description:
      "When all rows are read again though nothing shows that they changed: auto (Cassandra and ScyllaDB: after 7 days; else never), never, or an interval as 30d.",
  }),
  deletion: deletion.default("soft").meta({
    description: "soft: deleted rows stay and are marked; hard: they are removed.",
  }),
  maxDeleteFraction: maxDeleteFraction.default(defaultSettings.maxDeleteFraction).meta({
    description:
      "The part of a copy's rows, 0 to 1, that one sync may delete. More are held back until you agree; other changes arrive. 1 allows everything.",
  }),
  schemaChanges: schemaChanges.default(defaultSettings.schemaChanges).meta({
    description: "What may change by itself: tables and columns, columns only, nothing.",
  }),
  systemColumnPrefix: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must begin with a letter or _, followed by letters, digits and _")
    .default("_headwaters")
    .meta({
      description: "System columns are <prefix>_synced and <prefix>_deleted; _fivetran fits existing dbt models.",
    }),
  parallel: parallelSetting.default(defaultSettings.parallel).meta({
    description:
      "Splits that are read from the source at the same time. A sync holds at most two connections to the source for each of them, and one more.",
  }),
  memory: size.prefault(bytesText(defaultSettings.memoryBytes)).meta({
    description: "Rows that are read ahead of the destination take at most about this much.",
  }),
  batchSize: size
    .prefault(bytesText(defaultSettings.batchBytes))
    .meta({ description: "About how much one batch of rows takes." }),
  commitInterval: duration.optional().meta({
    description: `Data and state are committed at least this often while rows arrive; absent: ${durationText(defaultSettings.commitMilliseconds)}. Under follow, commits are at least so far apart; absent: 500ms into PostgreSQL, 1s into DuckDB, 60s into DuckLake.`,
  }),
  interval: duration.prefault("15m").meta({
    description: "Under follow: how often tables are synced whose changes no stream tells.",
  }),
  commitRows: whole(1, 1_000_000_000).optional().meta({
    description: "… and after this many rows (the checkpoint interval of the published examples: 1000).",
  }),
  maxRowsPerSecond: whole(1, 1_000_000_000).optional().meta({
    description: "The most rows that are read from the source in a second.",
  }),
  schedule: scheduleSetting("follow").optional().meta({
    description:
      "When headwaters up syncs: an interval as 15m; a cron expression, in UTC unless a time zone follows it: 0 3 * * * Europe/Berlin; or follow, all the time by the stream of the source. Absent: only when it is asked to.",
  }),
  verify: scheduleSetting().optional().meta({
    description: "When headwaters up verifies: an interval, or a cron expression.",
  }),
  freshness: duration.optional().meta({
    description: "How old a copy may be before headwaters up calls it late: 1h.",
  }),
  attempts: whole(1, 100).default(defaultSettings.attempts).meta({
    description: "Readings of one split before its table fails.",
  }),
});

export type ConnectionEntry = z.output<typeof connectionSchema>;
export type Override = z.output<typeof override>;
