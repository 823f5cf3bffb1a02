import { expect, test } from "vitest";
import { type Kept, keptKey, keptTables, keptTypes } from "../../src/destinations/sql/kept.ts";

interface Meaning {
  readonly table: string;
  /** By column, without `connection`. */
  readonly columns: Readonly<Record<string, string>>;
}

const split = { pass: "the pass", split: "a split of the pass" };
const stage = {
  stage: "the table in which the rows wait",
  columns: "JSON: the columns of that table",
  ordinal: "the number of rows that were loaded into that table",
};

const error = {
  error_code: "why it failed, see [errors](../errors.md)",
  error_message: "in words",
  error_hint: "what to do",
};

const meanings: Readonly<Record<Kept, Meaning>> = {
  format: {
    table: "The version of these tables. One row.",
    columns: { version: "a higher number for each change of these tables" },
  },
  leases: {
    table: "Who may write a connection. One row for each connection.",
    columns: {
      lease: "a higher number for each sync. A commit with a lower number is refused",
      host: "the machine of the latest writer",
      pid: "the process of the latest writer",
      since: "when that writer began",
      held: "whether that writer still writes",
      stamp: "the time of the last commit, with microseconds: the latest `_headwaters_synced`",
    },
  },
  copies: {
    table: "The copies that Headwaters created.",
    columns: {
      id: "the table in the source",
      schema_name: "the schema of the copy",
      table_name: "the name of the copy",
      columns: "JSON: the columns that the source had at the last sync",
    },
  },
  passes: {
    table: "Unfinished passes. The next sync continues them.",
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
      attempt: "how many times the split was started",
      version: "a higher number for each commit. A commit without the next number is refused",
      state: "JSON: where to continue",
      done: "whether the split is finished",
      as_of: "the read point of the split, if it has its own",
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
    table: "Tables that were synced completely at least once.",
    columns: {
      id: "the table",
      state:
        "JSON: description of the table, where the next sync begins, read point, last sweep. `headwaters state show` shows it",
    },
  },
  seals: {
    table: "Whether a copy is as the last sync left it. See [Proving a copy](../verify.md).",
    columns: {
      id: "the table",
      state: "`sealed`, `open`, `unknown` or `broken`",
      written: "the stamp of the last write of Headwaters",
      n: "the number of rows that were not deleted at that time",
      digest: "the sum of their hashes",
      how: "what the hash depends on: columns, and the version of the database",
    },
  },
  runs: {
    table: "One row for each run that could write to the destination.",
    columns: {
      id: "the run",
      started: "when it began",
      kind: "`sync`, `verify` or `follow`",
      asked_by: "who started it: `schedule`, `retry`, `person`; NULL: the command line",
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
      place: "the position of the table in the run",
      outcome: "`running`, `whole`, `failed` or `stopped`",
      passes: "the kinds of its passes, separated by spaces",
      rows_read: "rows that were read from the source",
      bytes_read: "the size of these rows in bytes",
      inserted: "new rows of the copy",
      updated: "changed rows of the copy",
      deleted: "deleted rows of the copy",
      milliseconds: "how long the table took",
      as_of: "the read point of the copy after the run",
      verdict: "of a verify",
      reasons: "the reasons of the verdict, one on each line",
      ...error,
    },
  },
  schema_changes: {
    table: "Changes of the schema of the source.",
    columns: { seen: "when a sync saw it", id: "the table", change: "the change, in a few words" },
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

Headwaters keeps its bookkeeping in the destination, in the schema \`_headwaters\`. It is written in the same transactions as the rows. The
copies are in other schemas: see [what a copy looks like](../concepts.md#the-copy).

**You may read these tables. Never write to them.** \`headwaters status\`, \`state\` and \`reset\` show and change their content. A new version
of Headwaters may change the tables, and converts those of an older version. For your own dashboards, use
[the views of the history](../up.md#history), which stay the same.

All tables except \`format\` have a first column \`connection\` (text): the name of the connection. Times are text, ISO 8601, UTC. In DuckLake,
each connection has its own tables, whose names end with a suffix. Only \`format\` and \`copies\` are shared.

${sections.join("\n")}`;
  await expect(page).toMatchFileSnapshot("../../docs/reference/bookkeeping.md");
});
