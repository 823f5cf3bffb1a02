import { type Command } from "commander";
import type { VerifyEvent, VerifyReport } from "../engine/commands/verify.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { eventJson } from "./display/events-json.ts";
import { verdictOutcomes, VerifyProgress, verifySummary } from "./display/verify-display.ts";
import { exitCode, type Outcome } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  exitCodesHelp,
  narrowed,
  requestOf,
  withOutputOptions,
} from "./options.ts";
import { recordedVerify } from "./recorded.ts";
import { forEachConnection, type OutputOptions, runCommand, runContext, type Session } from "./session.ts";
import type { Environment } from "./environment.ts";

export function verifyCommand(environment: Environment): Command {
  return withOutputOptions(connectionCommand("verify"))
    .description(
      "Compares source and copy row by row. The verdict is CONVERGED (they are equal), NOT PROVEN (they differ, and changes of the source since the last sync explain it) or DIVERGED (they differ). Changes no copy.",
    )
    .addHelpText(
      "after",
      examples(
        ["verify", "every connection of headwaters.yaml"],
        ["verify iot --tables alerts", "one table of one connection"],
        ["sync iot --sweep --verify", "bring the copy up to date, then prove it"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: ConnectionOptions & OutputOptions) =>
      runCommand(environment, flags, (session) =>
        forEachConnection(session, requestOf(connections, flags), (connection) =>
          verifyConnection(session, connection, narrowed(requestOf(connections, flags))),
        ),
      ),
    );
}

/** Verifies one connection and shows the result. `tables` empty: all selected tables. */
export async function verifyConnection(
  session: Session,
  configured: ConfiguredConnection,
  tables: readonly string[],
): Promise<Outcome> {
  return verifyShown(session, configured.name, (report) =>
    recordedVerify(runContext(session), configured, { tables }, report),
  );
}

/** Shows the progress of a verify, and its result. */
export async function verifyShown(
  { output, json, quiet, tell }: Session,
  connection: string,
  verify: (report: (event: VerifyEvent) => void) => Promise<VerifyReport>,
): Promise<Outcome> {
  let report: VerifyReport;
  {
    using progress = json || quiet ? null : new VerifyProgress(output);
    report = await verify((event) => {
      progress?.event(event);
      if (json && event.kind === "verified") tell(connection, eventJson(event));
    });
  }
  const outcome = verdictOutcomes[report.verdict];
  if (json) tell(connection, { kind: "verdict", outcome, exitCode: exitCode(outcome), ...report });
  else if (!quiet || outcome !== "ok") {
    for (const line of verifySummary(connection, report, output)) output.line(line);
  }
  return outcome;
}
