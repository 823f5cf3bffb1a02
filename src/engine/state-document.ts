import { z } from "zod";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Pass, Progress, Split } from "../protocol/pass.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import type { Stored } from "../protocol/state-store.ts";
import type { Column, Table, TableState } from "../protocol/table.ts";
import { parseType, typeName } from "../toolkit/types.ts";

/** The version of the format. A document of an older version would be converted here. */
const newest = 1;

/**
 * A connection's state as JSON, both for warehouses (`state export`, `state import`) and for Fivetran (`state_json`).
 * `tables` mean the same everywhere: what the copy was like and where the next sync goes on. Open passes and their
 * progress belong to the destination that has their rows: see {@link portable}.
 */
export interface StateDocument {
  readonly version: typeof newest;
  /** The kind of the source that it was written for: `yugabytedb`. */
  readonly source: string;
  /** By table id. */
  readonly tables: Readonly<Record<string, TableState>>;
  readonly passes: readonly Pass[];
  readonly progress: readonly Progress[];
}

const json = z.json();
const moment = z.iso.datetime();

const type = z.string().transform((name, context) => {
  const known = parseType(name);
  if (known !== null) return known;
  context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a type` });
  return z.NEVER;
});

const column: z.ZodType<Column> = z.object({
  name: z.string(),
  type,
  nullable: z.boolean(),
  volatile: z.literal(true).exactOptional(),
  expires: z.literal(true).exactOptional(),
});

const table: z.ZodType<Table> = z.object({
  id: z.string(),
  columns: z.array(column),
  key: z.array(z.string()),
  identity: z.string(),
  storage: z.string().exactOptional(),
  streamed: z.literal(true).exactOptional(),
  cursor: z.string().nullable(),
  version: z.string().nullable(),
  estimatedRows: z.number().nullable(),
  notes: z.array(z.string()).default([]),
});

const tableState: z.ZodType<TableState> = z.object({
  table,
  next: json,
  asOf: moment,
  unseenFrom: moment.exactOptional(),
  readAt: moment,
  scope: z.string(),
  sweptAt: moment,
  sweepMilliseconds: z.number().nullable(),
  held: z.object({ gone: z.int().min(1), of: z.int().min(0) }).exactOptional(),
  reread: z.literal(true).exactOptional(),
});

const split: z.ZodType<Split> = z.object({ id: z.string(), tables: z.array(z.string()), work: json });

const pass: z.ZodType<Pass> = z.object({
  id: z.string(),
  kind: z.enum(["full", "window", "keys", "stream"]),
  tables: z.array(table),
  splits: z.array(split),
  next: z.record(z.string(), json),
  asOf: moment,
  unseenFrom: moment.exactOptional(),
  startsOver: z.literal(true).exactOptional(),
  snapshot: json,
  opened: moment,
  scope: z.string(),
  copyRows: z.int().min(0).exactOptional(),
  replace: z.boolean(),
});

const progress: z.ZodType<Progress> = z.object({
  pass: z.string(),
  split: z.string(),
  attempt: z.int().min(1),
  version: z.int().min(1),
  state: json,
  asOf: moment.exactOptional(),
  done: z.boolean(),
});

const document: z.ZodType<StateDocument> = z.object({
  version: z.literal(newest),
  source: z.string(),
  tables: z.record(z.string(), tableState),
  passes: z.array(pass).default([]),
  progress: z.array(progress).default([]),
});

/** The document for what a destination holds. */
export function stateDocument(source: string, stored: Pick<Stored, "tables" | "passes" | "progress">): StateDocument {
  const { tables, passes, progress } = stored;
  return { version: newest, source, tables: Object.fromEntries(tables), passes, progress };
}

/** What a destination with this document holds. */
export function storedOf({ tables, passes, progress }: StateDocument): Pick<Stored, "tables" | "passes" | "progress"> {
  return { tables: new Map(Object.entries(tables)), passes, progress };
}

/**
 * The part that also holds for another destination with the same rows: each table after its last closed pass. An open
 * pass is planned again there; a table that was never whole is read fully.
 */
export function portable(whole: StateDocument): StateDocument {
  return { ...whole, passes: [], progress: [] };
}

/** The document as it is written: types by their names, without notes (which are for `discover`) and comments. */
export function stateJson({ version, source, tables, passes, progress }: StateDocument): object {
  return {
    version,
    source,
    tables: Object.fromEntries(
      Object.entries(tables).map(([id, state]) => [id, { ...state, table: tableJson(state.table) }]),
    ),
    passes: passes.map((open) => ({ ...open, tables: open.tables.map(tableJson) })),
    progress,
  };
}

function tableJson({ notes: _notes, comment: _comment, columns, ...table }: Table): object {
  return {
    ...table,
    columns: columns.map(({ comment: _ofColumn, ...column }) => ({ ...column, type: typeName(column.type) })),
  };
}

/**
 * Parses a document, given as text or as a value. It must be from `source` or its kin. Throws `STATE_INVALID` if it is
 * not JSON, damaged, or from a newer Headwaters or another source. `hint` says what to do then.
 */
export function parseStateDocument(
  given: unknown,
  source: Pick<SourceDefinition, "name" | "kin">,
  hint = "Use the state as it was exported, or start without one: then every table is read fully.",
): StateDocument {
  const invalid = (message: string): HeadwatersError => new HeadwatersError("STATE_INVALID", message, { hint });
  const value = typeof given === "string" ? parsed(given, invalid) : given;
  const version = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
  if (typeof version === "number" && version > newest) {
    throw new HeadwatersError(
      "STATE_INVALID",
      `the state has version ${version}; this Headwaters reads versions up to ${newest}`,
      {
        hint: "Install the Headwaters that wrote it, or a later one.",
      },
    );
  }
  const result = document.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    const where = issue?.path.join(".") ?? "";
    throw invalid(`the state is damaged${where === "" ? "" : ` at ${where}`}: ${issue?.message ?? "it can't be read"}`);
  }
  if (![source.name, ...(source.kin ?? [])].includes(result.data.source)) {
    throw invalid(`the state is from the source ${result.data.source}, not from ${source.name}`);
  }
  return result.data;
}

function parsed(text: string, invalid: (message: string) => HeadwatersError): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`the state is not JSON: ${(error as SyntaxError).message}`);
  }
}
