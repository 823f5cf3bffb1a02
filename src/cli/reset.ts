import { type Command } from "commander";
import { reset } from "../engine/commands/reset.ts";
import { asHeadwatersError } from "../protocol/errors.ts";
import type { ConfiguredConnection, CopySide } from "./configuration/resolve.ts";
import { confirmed } from "./confirm.ts";
import { openSource, openWarehouse } from "./connect.ts";
import { counted } from "../toolkit/figures.ts";
import type { Outcome } from "./exit-codes.ts";
import { connectionCommand, type ConnectionOptions, examples, requestOf, withOutputOptions } from "./options.ts";
import { forEachCopySide, type OutputOptions, runCommand, type Session } from "./session.ts";
import type { Environment } from "./environment.ts";

interface ResetFlags extends ConnectionOptions, OutputOptions {
  readonly drop?: boolean;
  readonly yes?: boolean;
}

export function resetCommand(environment: Environment): Command {
  const command = connectionCommand("reset")
    .description(
      "Forgets how far tables were read. The next sync reads them whole and writes the differences. The copies stay readable, unless you use --drop. If you reset all tables of a connection that follows a stream, the slot and the publication at the source are removed too, as by unfollow.",
    )
    .optionsGroup("What to reset:")
    .option("--drop", "drop the copies too")
    .option("-y, --yes", "do not ask");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["reset iot --tables alerts", "let the next sync read one table whole"],
        ["reset iot --drop --yes", "start from nothing, without a question"],
      ),
    )
    .action((connections: readonly string[], flags: ResetFlags) =>
      runCommand(environment, flags, (session) =>
        forEachCopySide(session, requestOf(connections, flags), (connection, whole) =>
          resetConnection(session, connection, whole, flags),
        ),
      ),
    );
}

async function resetConnection(
  session: Session,
  connection: CopySide,
  whole: () => Promise<ConfiguredConnection>,
  flags: ResetFlags,
): Promise<Outcome> {
  const { output, json, quiet, tell } = session;
  const { drop = false, yes = false, tables } = flags;
  const which = tables === undefined ? "all tables" : tables.join(", ");
  const what = drop ? `Forget the state of ${which} and remove the copies` : `Forget the state of ${which}`;
  if (!yes && !(await confirmed(session, "reset", `${connection.name}: ${what}?`))) {
    output.error(`${connection.name}: nothing was changed.`);
    return "ok";
  }
  await using warehouse = await openWarehouse(connection, session, false);
  const stored = await warehouse.load();
  const isStreamed = [...stored.tables.values()].some(({ next }) => connection.position(next) !== null);
  const names = await reset({ warehouse }, tables ?? null, drop);
  if (isStreamed && tables === undefined) await giveBack(session, connection.name, whole);
  if (json) tell(connection.name, { kind: "reset", tables: names, dropped: drop });
  else if (!quiet)
    output.line(
      `${connection.name}: ${counted(names.length, "table")} reset${drop ? ", copies removed" : ""}: ${names.join(", ")}`,
    );
  return "ok";
}

/** The state is gone, so what the stream keeps is useless. If it can't be removed, the rest of the command is still done. */
async function giveBack(session: Session, name: string, whole: () => Promise<ConfiguredConnection>): Promise<void> {
  try {
    await using source = await openSource(await whole(), session);
    const removed = (await source.unfollow?.(session.signal)) ?? [];
    if (session.json) session.tell(name, { kind: "unfollowed", removed });
    else if (!session.quiet && removed.length > 0) session.output.line(`${name}: removed ${removed.join(" and ")}`);
  } catch (thrown) {
    const { message, code } = asHeadwatersError(thrown);
    session.log.warn(
      `${name}: the stream's slot or publication at the source could not be removed: ${message} (${code}). Run headwaters unfollow`,
    );
  }
}
