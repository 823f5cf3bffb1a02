import type { Status, TableStatus } from "../../engine/commands/status.ts";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { RecordedError, RunRecord } from "../../protocol/state-store.ts";
import type { CopySide } from "../configuration/resolve.ts";
import { count, counted, duration, moment } from "../../toolkit/figures.ts";
import { type ColumnLayout, type Look, type Paint } from "./text.ts";
import { tableLines } from "./table.ts";

/** What `status` knows of a connection. */
export interface Standing extends Status {
  /** Why the destination can't be read now; then everything comes from the attempts on this machine. `null`: it was read. */
  readonly unreadable: HeadwatersError | null;
}

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "rows", align: "right" },
  { title: "as of", align: "left" },
  { title: "deletes looked for", align: "left" },
  { title: "open pass", align: "left" },
];

/** Where a stream shows the changes of some tables. */
const streamLayout: readonly ColumnLayout[] = [
  ...layout,
  { title: "position", align: "left" },
  { title: "lag", align: "right" },
];

/** What `status` shows of one connection. */
export function statusLines(
  { name, destination, schema }: CopySide,
  { tables, runs, unreadable }: Standing,
  look: Look,
): readonly string[] {
  const { paint } = look;
  const where = `${destination.definition.title}${schema === "" ? "" : `, schema ${schema}`}`;
  const streams = tables.some(({ position }) => position !== null);
  const rows = tables.map((table) => [
    table.table,
    unreadable !== null ? "unknown" : table.rows === null ? "no copy" : count(table.rows),
    table.asOf === null ? "never whole" : moment(table.asOf),
    unreadable !== null ? "unknown" : table.sweptAt === null ? "never" : moment(table.sweptAt),
    openPass(table),
    ...(streams ? [table.position ?? "", table.lag === null ? "" : duration(table.lag)] : []),
  ]);
  const failed = runs.findIndex(({ outcome }) => outcome === "failed" || outcome === "died");
  return [
    `${name}: ${where}, ${counted(tables.length, "table")}`,
    ...(unreadable === null
      ? []
      : [
          `${paint("yellow", "not read")} ${unreadable.message} (${unreadable.code})`,
          "  The following comes from the records on this machine.",
        ]),
    ...(rows.length > 0 ? tableLines(streams ? streamLayout : layout, rows, look) : []),
    ...runs.flatMap((run, index) => [runLine(run, paint), ...(index === failed ? reasons(run) : [])]),
  ];
}

function openPass({ open }: TableStatus): string {
  return open === null ? "" : `${open.kind}, ${open.splitsDone} of ${counted(open.splits, "split")} done`;
}

function runLine({ kind, started, ended, outcome, tables, error }: RunRecord, paint: Paint): string {
  const whole = tables.filter((table) => table.outcome === "whole").length;
  const read = tables.reduce((sum, table) => sum + table.rowsRead, 0);
  const took = ended === null ? "" : ` in ${duration(Date.parse(ended) - Date.parse(started))}`;
  const codes = [...new Set([error, ...tables.map((table) => table.error)].flatMap((found) => found?.code ?? []))];
  const word = outcome === "failed" || outcome === "died" ? paint("red", outcome) : outcome;
  return `${kind === "follow" ? "follow" : "run"} ${moment(started)}: ${word}${codes.length === 0 ? "" : ` (${codes.join(", ")})`}, ${whole} of ${counted(tables.length, "table")} whole, ${counted(read, "row")} read${took}`;
}

/** Why a run failed, and what to do. */
function reasons({ outcome, error, tables }: RunRecord): readonly string[] {
  const lines = (where: string, { code, message, hint }: RecordedError): readonly string[] => [
    `  ${where}${message} (${code})`,
    ...(hint === null ? [] : [`    ${hint}`]),
  ];
  return [
    ...(outcome === "died"
      ? [
          "  Its process ended without a record: it was killed, ran out of memory, or the machine restarted. Sync again: it goes on from the last commit.",
        ]
      : []),
    ...(error === undefined ? [] : lines("", error)),
    ...tables.flatMap((table) => (table.error === null ? [] : lines(`${table.table}: `, table.error))),
  ];
}
