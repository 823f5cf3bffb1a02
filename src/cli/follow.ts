import { type Command } from "commander";
import type { Log } from "../protocol/log.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { FollowDisplay } from "./display/follow-display.ts";
import { outcomeOf } from "./errors.ts";
import { type Outcome, worst } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  exitCodesHelp,
  narrowed,
  requestOf,
  withOutputOptions,
} from "./options.ts";
import { recordedFollow } from "./recorded.ts";
import { forEachConnection, type OutputOptions, runCommand, runContext, type Session } from "./session.ts";
import type { Environment } from "./environment.ts";

interface FollowFlags extends ConnectionOptions, OutputOptions {}

export function followCommand(environment: Environment): Command {
  const command = connectionCommand("follow").description(
    "Keeps copies up to date until you stop it. It first reads each table like sync, and then follows the changes in the stream of the source (changes: stream). It follows several connections at the same time.",
  );
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["follow", "every connection of headwaters.yaml"],
        ["follow shop --tables orders,customers", "two tables of one connection"],
        ["follow shop --json | jq -c 'select(.kind == \"followed\")'", "for a program"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: FollowFlags) =>
      runCommand(environment, flags, async (session) => {
        const request = requestOf(connections, flags);
        using display = new FollowDisplay(session);
        return forEachConnection(
          session,
          request,
          (connection) => followConnection(session, connection, narrowed(request), display),
          { together: true },
        );
      }),
    );
}

/** Ends in good order when the user stops it, which is how it ends. */
async function followConnection(
  session: Session,
  configured: ConfiguredConnection,
  tables: readonly string[],
  display: FollowDisplay,
): Promise<Outcome> {
  const { name } = configured;
  const context = { ...runContext(session), log: named(session.log, name) };
  const run = await recordedFollow(context, configured, { tables }, (event) => display.event(event));
  const outcome = worst(run.tables.filter((table) => table.outcome === "failed").map(outcomeOf));
  display.end(name, run, outcome);
  return outcome;
}

/** Adds the connection's name to messages if several are followed. */
function named(log: Log, connection: string): Log {
  const say = (message: string): string => `${connection}: ${message}`;
  return {
    debug: (message) => log.debug(say(message)),
    info: (message) => log.info(say(message)),
    warn: (message) => log.warn(say(message)),
  };
}
