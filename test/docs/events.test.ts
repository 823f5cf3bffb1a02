import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "../cli/run-cli.ts";

interface Line {
  readonly commands: string;
  readonly meaning: string;
  readonly fields: Readonly<Record<string, string>>;
}

const ending = { outcome: "how the command ended, in one word", exitCode: "the exit code for it" };
const table = { table: "the table's name in the source" };

/** What each line of `--json` says, in the order of a session. */
const lines: Readonly<Record<string, Line>> = {
  init: {
    commands: "init",
    meaning: "A file was written.",
    fields: {
      file: "the file of connections",
      variables: "environment variables that still need a value",
      folder: "`init source`: the new folder",
      files: "`init source`: the files in it",
    },
  },
  check: {
    commands: "check",
    meaning: "The result of one check.",
    fields: {
      name: "which check",
      label: "its name for people",
      status: "`ok`, `warning` or `failed`",
      message: "what was found; for a failure also what to do",
      remedy: "for a failure: the remedy; absent: `reconfigure`",
    },
  },
  checked: { commands: "check", meaning: "All checks of a connection are finished.", fields: ending },
  table: {
    commands: "discover",
    meaning: "A table that would be synced.",
    fields: { table: "its name, columns, key, cursor column, estimated rows, and notes for people" },
  },
  written: {
    commands: "discover --write",
    meaning: "The names of the tables were written to the file of connections.",
    fields: { file: "the file", changed: "whether it was changed" },
  },
  preview: {
    commands: "sync --dry-run",
    meaning: "What a sync would do to a table.",
    fields: {
      ...table,
      passes: "the passes that it would make",
      why: "why it would make them",
      estimatedRows: "rows of the table, if the source can tell",
      sweepMilliseconds: "how long the last sweep took",
      error: "why the table can't be synced, or null",
    },
  },
  selected: { commands: "sync, run", meaning: "The sync begins.", fields: { tables: "the tables, in order" } },
  pass: {
    commands: "sync, run",
    meaning: "A pass begins or continues.",
    fields: {
      ...table,
      pass: "`full`, `window`, `keys` (a sweep) or `stream`",
      resumed: "whether an earlier sync began it",
      splits: "the number of splits of the pass",
      splitsDone: "how many of them are finished",
      estimatedRows: "rows of the pass, if the source can estimate them",
    },
  },
  read: {
    commands: "sync, run, verify",
    meaning: "Rows were read.",
    fields: {
      ...table,
      rows: "how many, since the last line of this kind",
      bytes: "sync: their bytes",
      splitsDone: "sync: finished splits",
    },
  },
  settling: {
    commands: "sync, run",
    meaning: "Every row of a pass was read. The copy is compared and completed.",
    fields: table,
  },
  lost: {
    commands: "sync, run, follow",
    meaning: "The changes of a table are lost, so the table is read whole.",
    fields: { ...table, reason: "why" },
  },
  retry: {
    commands: "sync, run",
    meaning: "A read failed and will be tried again.",
    fields: { ...table, error: "the error", milliseconds: "the pause before that" },
  },
  committed: {
    commands: "sync, run",
    meaning: "Rows and progress are durable.",
    fields: { changes: "for each table: rows inserted, updated and deleted since the last commit" },
  },
  finished: {
    commands: "sync, run",
    meaning: "A table is complete, failed or was stopped.",
    fields: {
      result: "table, outcome, passes, rows and bytes read, rows changed, duration, read point, error",
      error: "why it failed, with remedy and hint, or null",
    },
  },
  summary: {
    commands: "sync, run",
    meaning: "The sync of a connection has ended.",
    fields: { ...ending, run: "id, start, end and outcome of the run, and the results of all tables" },
  },
  verifying: {
    commands: "verify",
    meaning: "A table is compared.",
    fields: {
      ...table,
      reading: "1: sums of all rows; 2: the rows that differ",
      estimatedRows: "rows of the table, if the source can tell",
    },
  },
  verified: {
    commands: "verify",
    meaning: "The verdict of a table.",
    fields: { result: "verdict, reasons, rows on both sides, how many differ, and some of them" },
  },
  verdict: {
    commands: "verify",
    meaning: "The verdict of a connection.",
    fields: { ...ending, verdict: "`CONVERGED`, `NOT PROVEN` or `DIVERGED`", tables: "the verdicts of its tables" },
  },
  status: {
    commands: "status",
    meaning: "The state of the copies of a connection.",
    fields: {
      ...ending,
      tables:
        "rows, read point, last sweep, position and lag (in milliseconds) of a stream, and the pass that the next sync continues",
      runs: "the last syncs and sessions of follow, newest first, including failed ones",
      unreadable: "why the destination can't be read, or null",
      late: "with `--max-age`: the copies that are too old",
    },
  },
  state: { commands: "state show", meaning: "How far a table was read.", fields: { state: "the state" } },
  imported: { commands: "state import", meaning: "A state was imported.", fields: { tables: "its tables" } },
  exported: {
    commands: "export",
    meaning: "A file was written.",
    fields: { ...table, file: "the file", rows: "its rows", bytes: "its size" },
  },
  followed: {
    commands: "follow",
    meaning: "A stream is followed: changes of tables were committed.",
    fields: {
      tables: "the tables",
      lag: "the age of the oldest of these changes when it was committed, in milliseconds; 0: there was no change; null: unknown, because other tables are being read",
      kept: "the position from which the source keeps its log, the size of this log in bytes (null: unknown), and the size at which it is dropped; null: no log",
    },
  },
  run: {
    commands: "history",
    meaning: "A run that has ended or still runs, newest first.",
    fields: { run: "as in the API of the service: id, kind, trigger, times, outcome, rows, error" },
  },
  log: {
    commands: "logs",
    meaning: "A line of a run's log.",
    fields: { line: "`at`, `level` and `message`" },
  },
  listening: {
    commands: "up",
    meaning: "The service listens.",
    fields: {
      address: "the address of the page and the API",
      tokenFile: "the file with the token; null: you set the token",
    },
  },
  sent: {
    commands: "alert test",
    meaning: "A webhook accepted a test alert.",
    fields: { alert: "the name of the webhook" },
  },
  reset: {
    commands: "reset",
    meaning: "The next sync will read tables whole.",
    fields: { tables: "the tables", dropped: "whether their copies were dropped too" },
  },
  schedule: {
    commands: "deploy",
    meaning: "A schedule of Temporal, and what is done about it.",
    fields: {
      run: "what its runs do: `sync` or `verify`",
      change: "`create`, `change`, `remove` or `keep`",
      schedule: "as the file has it; null: it is removed",
      before: "as Temporal had it; null: not at all, or the same",
    },
  },
  unfollowed: {
    commands: "unfollow, reset",
    meaning: "The source does not keep its log any more.",
    fields: { removed: "what was removed at the source" },
  },
  error: {
    commands: "all",
    meaning: "The command, or one connection, failed.",
    fields: { error: "code, remedy, message, hint, and the side: source or destination", exitCode: ending.exitCode },
  },
};

const everywhere = ["time", "connection", "at", "run", "kind"];

/** `npx vitest run test/docs -u` writes the page anew. */
test("the page of events is that of the code", async () => {
  const sections = Object.entries(lines).map(([kind, { commands, meaning, fields }]) => {
    const rows = Object.entries(fields).map(([name, what]) => `| \`${name}\` | ${what} |`);
    const named = commands.replaceAll(/[a-z]+(?: [a-z-]+)*/g, (name) =>
      name === "all" ? "all commands" : `\`${name}\``,
    );
    return `## ${kind}\n\n${meaning} Written by ${named}.\n\n| field | meaning |\n|---|---|\n${rows.join("\n")}\n`;
  });
  const page = `# Events of --json

With \`--json\`, a command writes events to standard output: one JSON object on each line. Log lines go to standard error, as JSON too.
\`query --json\` writes the rows of the result instead.

\`\`\`console
$ headwaters sync --json | jq -c 'select(.kind == "finished")'
\`\`\`

- Every line has \`kind\` and \`time\` (ISO 8601, UTC). It has \`connection\` if it belongs to one.
- Lines of a sync or a \`verify\` also have \`run\`, the id of the run, and \`at\`, the time of the event.
- An error has \`code\`, \`remedy\`, \`message\`, \`hint\` and \`side\`: see [error codes](../errors.md).
- Later minor versions may have more kinds and fields. Ignore those that you don't know.

${sections.join("\n")}`;
  await expect(page).toMatchFileSnapshot("../../docs/reference/events.md");
});

const src = fileURLToPath(new URL("../../src/", import.meta.url));
const text = (path: string): string => readFileSync(src + path, "utf8");

test("every kind is on the page, and no other", () => {
  // What the worker tells is for the service, by messages.
  const cli = readdirSync(`${src}cli`, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && name !== join("up", "worker.ts"),
  );
  const written = cli.flatMap((name) =>
    [...text(`cli/${name}`).matchAll(/(?:tell\([^{]*|#write\()\{ kind: "(\w+)"/g)].map(([, kind]) => kind!),
  );
  const kinds = [...written, ...[...happenings()].map(([kind]) => kind)];
  expect([...new Set(kinds)].sort()).toEqual(Object.keys(lines).sort());
});

/** Kinds and fields of the events of a sync and of `verify`, as their types say. */
function* happenings(): Generator<[kind: string, fields: readonly string[]]> {
  for (const path of ["engine/events.ts", "engine/commands/verify.ts"])
    for (const [, body] of text(path).matchAll(/\| (\{[^}]*kind: "[^}]*\})/g)) {
      const kind = /kind: "(\w+)"/.exec(body!)![1]!;
      yield [kind, [...body!.matchAll(/readonly (\w+):/g)].map(([, name]) => name!).filter((name) => name !== "kind")];
    }
}

test.each([...happenings()])("the fields of %s are on the page", (kind, fields) => {
  expect(Object.keys(lines[kind]!.fields)).toEqual(expect.arrayContaining([...fields]));
});

const source = `
import { defineSource } from "headwaters";
export default defineSource({
  name: "numbers",
  schema: { numbers: { key: ["id"], columns: { id: "LONG" } } },
  async *update({ upsert }) {
    yield upsert("numbers", { id: 1 });
  },
});
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwaters-events-"));
  await writeFile(join(folder, "source.ts"), source);
  const connections = { numbers: { source: { type: "./source.ts" }, destination: "duckdb:warehouse.duckdb" } };
  await writeFile(join(folder, "headwaters.yaml"), JSON.stringify({ connections }));
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  "init --file other.yaml",
  "init source weather",
  "check",
  "discover",
  "discover --write",
  "sync --dry-run",
  "sync",
  "verify",
  "status",
  "state show",
  "export parquet --to exports",
  "reset --yes",
  "sync nothing",
])("%s writes fields that are on the page", async (command) => {
  const { out } = await runCli([...command.split(" "), "--json"], { folder, environment: {} });
  const written = out.split("\n").filter((line) => line !== "");
  expect(written.length).toBeGreaterThan(0);
  for (const line of written) {
    const { kind, ...fields } = JSON.parse(line) as { readonly kind: string };
    const known = new Set([...everywhere, ...Object.keys(lines[kind]?.fields ?? {})]);
    expect([kind, Object.keys(fields).filter((name) => !known.has(name))]).toEqual([kind, []]);
  }
});
