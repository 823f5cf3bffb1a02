import { expect, test } from "vitest";
import { type Kept, keptKey, keptTables, keptTypes } from "../../src/destinations/sql/kept.ts";

interface Meaning {
  readonly table: string;
  /** By column, without `connection`. */
  readonly columns: Readonly<Record<string, string>>;
}

const split = { pass: "the pass", split: "the split in it" };
const stage = {
  stage: "the table that the rows wait in",
  columns: "JSON: the columns of that table",
  ordinal: "rows that were loaded into it",
};

const error = {
  error_code: "why it failed, see [errors](../errors.md)",
  error_message: "in words",
  error_hint: "what to do",
};

const meanings: Readonly<Record<Kept, Meaning>> = {
  format: { table: "The version of these tables. One row.", columns: { version: "raised when these tables change" } },
  leases: {
    table: "Who may write a connection. One row for each.",
    columns: {
      lease: "counts up with each sync; a commit with an older number is refused",
      host: "the machine of the newest writer",
      pid: "its process",
      since: "when it began",
      held: "whether it still writes",
      stamp: "the time of the last commit, with microseconds: the newest `_headwaters_synced`",
    },
  },
  copies: {
    table: "The copies that Headwaters made.",
    columns: {
      id: "the table in the source",
      schema_name: "the schema of the copy",
      table_name: "its name",
      columns: "JSON: the columns that the source last had",
    },
  },
  passes: {
    table: "Passes that are not finished. The next sync goes on with them.",
    columns: { id: "the pass", pass: "JSON: its kind, tables, splits and read point" },
  },
  pass_tables: {
    table: "How the rows of a pass reach the copy of a table.",
    columns: {
      pass: "the pass",
      id: "the table",
      mode: "`direct`, `set aside`, `replace`, `keys` or `merge`",
      ...stage,
    },
  },
  progress: {
    table: "How far each split of an unfinished pass was read.",
    columns: {
      ...split,
      attempt: "how many times it was begun",
      version: "counts up with each commit; a commit that does not follow is refused",
      state: "JSON: where to go on from",
      done: "whether the split is finished",
      as_of: "its read point, if it has one of its own",
    },
  },
  held: {
    table: "Rows that no checkpoint covers yet. They have no effect on a copy.",
    columns: {
      ...split,
      place: "the order within the split",
      id: "the table",
      kind: "`rows`, `update`, `keys` or `truncate`",
      ...stage,
    },
  },
  tables: {
    table: "Tables that were synced whole at least once.",
    columns: {
      id: "the table",
      state:
        "JSON: its description, where the next sync begins, read point, last sweep. `headwaters state show` shows it",
    },
  },
  seals: {
    table: "Whether a copy is as the last sync left it. [Proving a copy](../verify.md) says what for.",
    columns: {
      id: "the table",
      state: "`sealed`, `open`, `unknown` or `broken`",
      written: "the stamp of our last write",
      n: "live rows at that time",
      digest: "the sum of their hashes",
      how: "what the hash depends on: columns, and version of the database",
    },
  },
  runs: {
    table: "One row for each sync or verify that could write to the destination.",
    columns: {
      id: "the run",
      started: "when it began",
      kind: "`sync` or `verify`",
      asked_by: "who asked for it: `schedule`, `retry`, `person`; NULL: the command line",
      ended: "when it ended",
      outcome: "`running`, `succeeded`, `failed`, `stopped` or `died`",
      verdict: "of a verify",
      ...error,
    },
  },
  run_tables: {
    table: "What a run did to each table.",
    columns: {
      run: "the run",
      id: "the table",
      place: "the order of the tables",
      outcome: "`running`, `whole`, `failed` or `stopped`",
      passes: "the kinds of its passes, with blanks between them",
      rows_read: "rows that were read from the source",
      bytes_read: "their bytes",
      inserted: "rows of the copy that are new",
      updated: "… that changed",
      deleted: "… that were deleted",
      milliseconds: "how long it took",
      as_of: "the read point of the copy after it",
      verdict: "of a verify",
      reasons: "why, one a line",
      ...error,
    },
  },
  schema_changes: {
    table: "What changed of the tables of the source.",
    columns: { seen: "when a sync saw it", id: "the table", change: "in few words" },
  },
};

/** `npx vitest run test/docs -u` writes the page anew. */
test("the page of the bookkeeping is that of the code", async () => {
  const sections = keptTables.map((name) => {
    const { table, columns } = meanings[name];
    const types = keptTypes(name);
    expect(Object.keys(columns)).toEqual(Object.keys(types));
    const key = ["connection", ...keptKey(name)].map((column) => `\`${column}\``).join(", ");
    const rows = Object.entries(types).map(([column, type]) => `| \`${column}\` | ${type} | ${columns[column]} |`);
    const unique = name === "format" ? "" : `\n\nUnique by ${key}.`;
    return `## ${name}\n\n${table}${unique}\n\n| column | type | meaning |\n|---|---|---|\n${rows.join("\n")}\n`;
  });
  const page = `# Tables of the schema _headwaters

A destination that is a database keeps what Headwaters knows about its copies in the schema \`_headwaters\`, in the same
transactions as the rows. The copies themselves are in schemas of their own: [what a copy looks like](../concepts.md#the-copy).

**Read these tables as you like, and never write to them.** \`headwaters status\`, \`state\` and \`reset\` show and change what is in
them. They may change with a version; \`format\` has the number, and a new Headwaters converts the tables of an old one.

All but \`format\` have a column \`connection\` (text) first: the name of the connection. Times are text, ISO 8601, UTC. In a
DuckLake each connection has tables of its own, whose names end with a suffix; \`format\` and \`copies\` are shared.

${sections.join("\n")}`;
  await expect(page).toMatchFileSnapshot("../../docs/reference/bookkeeping.md");
});
