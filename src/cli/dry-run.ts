import { preview, type Preview } from "../engine/commands/preview.ts";
import type { Flags } from "../engine/plan/decide.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Warehouse } from "../protocol/destination.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { openSource, openWarehouse, sidesOf } from "./connect.ts";
import { errorJson } from "./display/events-json.ts";
import { count, counted } from "../toolkit/figures.ts";
import { tableLines } from "./display/table.ts";
import type { ColumnLayout } from "./display/text.ts";
import { showError } from "./errors.ts";
import { type Outcome, worst } from "./exit-codes.ts";
import type { Session } from "./session.ts";

const layout: readonly ColumnLayout[] = [
  { title: "table", align: "left" },
  { title: "would read", align: "left" },
  { title: "of rows", align: "right" },
  { title: "why", align: "left" },
];

/** Shows what a sync would read, and why. Writes nothing, not even a record of the attempt. */
export async function dryRun(
  session: Session,
  configured: ConfiguredConnection,
  tables: readonly string[],
  flags: Flags,
): Promise<Outcome> {
  const { output, json, quiet, tell, signal } = session;
  await using source = await openSource(configured, session);
  await using warehouse = await existing(session, configured);
  const found = await preview({ ...sidesOf(configured, session), source, warehouse }, { tables, flags, signal });
  const errors = found.flatMap(({ error }) => error ?? []);
  if (json) {
    for (const { error, ...table } of found)
      tell(configured.name, { kind: "preview", ...table, error: error === null ? null : errorJson(error) });
  } else if (!quiet) {
    output.line(`${configured.name}: a sync would read ${counted(found.length, "table")}; nothing was written`);
    for (const line of tableLines(layout, found.map(shown), output)) output.line(line);
  }
  if (!json) for (const error of errors) showError(output, error, configured.name);
  return worst(errors.map(({ remedy }) => remedy));
}

/** The current copy; `null`: there is none yet. */
async function existing(session: Session, configured: ConfiguredConnection): Promise<Warehouse | null> {
  try {
    return await openWarehouse(configured, session, false);
  } catch (thrown) {
    if (thrown instanceof HeadwatersError && thrown.code === "DESTINATION_EMPTY") return null;
    throw thrown;
  }
}

const readings: Readonly<Record<Preview["passes"][number], string>> = {
  full: "all rows",
  window: "changed rows",
  keys: "keys and versions",
  stream: "a stream",
};

function shown({ table, passes, estimatedRows, why, error }: Preview): readonly string[] {
  if (error !== null) return [table, "nothing", "", `it fails: ${error.code}`];
  const rows = estimatedRows === null ? "?" : `~${count(estimatedRows)}`;
  return [table, [...new Set(passes)].map((kind) => readings[kind]).join(", "), rows, why];
}
