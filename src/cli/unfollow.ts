import { type Command } from "commander";
import { errorAt } from "../protocol/errors.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { confirmed } from "./confirm.ts";
import { openSource } from "./connect.ts";
import type { Environment } from "./environment.ts";
import type { Outcome } from "./exit-codes.ts";
import { connectionCommand, type ConnectionOptions, examples, requestOf, withOutputOptions } from "./options.ts";
import { forEachConnection, type OutputOptions, runCommand, type Session } from "./session.ts";

interface UnfollowFlags extends ConnectionOptions, OutputOptions {
  readonly yes?: boolean;
}

export function unfollowCommand(environment: Environment): Command {
  const command = connectionCommand("unfollow")
    .description(
      "Removes what a followed stream keeps at the source: the replication slot with its log, and the publication. The copies stay. A later sync with changes: stream begins with a full pass.",
    )
    .optionsGroup("What to remove:")
    .option("-y, --yes", "do not ask");
  return withOutputOptions(command)
    .addHelpText("after", examples(["unfollow iot --yes", "let the source drop the log, without a question"]))
    .action((connections: readonly string[], flags: UnfollowFlags) =>
      runCommand(environment, flags, (session) =>
        forEachConnection(session, requestOf(connections, flags), (connection) =>
          unfollowConnection(session, connection, flags),
        ),
      ),
    );
}

async function unfollowConnection(
  session: Session,
  connection: ConfiguredConnection,
  { yes = false }: UnfollowFlags,
): Promise<Outcome> {
  const { output, json, quiet, tell, signal } = session;
  const { name } = connection;
  if (
    !yes &&
    !(await confirmed(
      session,
      "unfollow",
      `${name}: Remove the slot and publication that its stream keeps at the source?`,
    ))
  ) {
    output.error(`${name}: nothing was changed.`);
    return "ok";
  }
  await using source = await openSource(connection, session);
  const removed = await Promise.resolve(source.unfollow?.(signal) ?? []).catch((thrown: unknown) => {
    throw signal.aborted ? thrown : errorAt("source", thrown);
  });
  if (json) tell(name, { kind: "unfollowed", removed });
  else if (!quiet)
    output.line(
      `${name}: ${removed.length === 0 ? "there was nothing to remove" : `removed ${removed.join(" and ")}`}`,
    );
  return "ok";
}
