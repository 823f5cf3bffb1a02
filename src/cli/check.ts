import { type Command } from "commander";
import { discover } from "../engine/selection/discover.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { CheckResult, Source } from "../protocol/source.ts";
import type { ConfiguredConnection } from "./configuration/resolve.ts";
import { destinationContext, openSource } from "./connect.ts";
import { explained } from "../toolkit/checks.ts";
import { counted } from "../toolkit/figures.ts";
import type { Style } from "./display/text.ts";
import { exitCode, type Outcome, worst } from "./exit-codes.ts";
import {
  connectionCommand,
  type ConnectionOptions,
  examples,
  exitCodesHelp,
  requestOf,
  withOutputOptions,
} from "./options.ts";
import { attempt, forEachConnection, type OutputOptions, runCommand, type Session } from "./session.ts";
import type { Environment } from "./environment.ts";

export function checkCommand(environment: Environment): Command {
  return withOutputOptions(connectionCommand("check"))
    .description(
      "Tests a connection step by step: host, TLS, login, database, schema, privileges, destination. For each step it shows the result, and what to do. Changes nothing.",
    )
    .addHelpText(
      "after",
      examples(
        ["check", "every connection of headwaters.yaml"],
        [
          "check --source yugabytedb --configuration configuration.json",
          "settings that are not in headwaters.yaml yet",
        ],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((connections: readonly string[], flags: ConnectionOptions & OutputOptions) =>
      runCommand(environment, flags, (session) =>
        forEachConnection(session, requestOf(connections, flags), (connection) => checkConnection(session, connection)),
      ),
    );
}

const marks: Readonly<Record<CheckResult["status"], readonly [Style, string]>> = {
  ok: ["green", "ok     "],
  warning: ["yellow", "warning"],
  failed: ["red", "failed "],
};

/** Checks both sides. The destination is checked even if the source fails, so that all faults are shown at once. */
export async function checkConnection(session: Session, connection: ConfiguredConnection): Promise<Outcome> {
  const { output, json, quiet, tell } = session;
  const { name, source, destination } = connection;
  if (!json && !quiet) output.line(`${name}: ${source.definition.title} to ${destination.definition.title}`);
  const results: CheckResult[] = [];
  const take = async (checks: AsyncIterable<CheckResult>): Promise<Outcome> => {
    for await (const result of checks) {
      results.push(result);
      if (json) tell(name, { kind: "check", ...result });
      else if (!quiet || result.status === "failed") output.line(shownCheck(session, result));
    }
    return "ok";
  };
  const thrown = [
    await attempt(session, name, async () => {
      await using source = await openSource(connection, session);
      await take(source.check(session.signal));
      const isThere = !results.some(({ status }) => status === "failed");
      return isThere ? await take(checkSelection(session, connection, source)) : "ok";
    }),
    await attempt(session, name, () =>
      take(
        destination.definition.check(
          destination.configuration,
          destinationContext(connection, session),
          session.signal,
        ),
      ),
    ),
  ];
  const failed = results.filter(({ status }) => status === "failed").map(({ remedy = "reconfigure" }) => remedy);
  const outcome = worst([...thrown, ...failed]);
  if (json) tell(name, { kind: "checked", outcome, exitCode: exitCode(outcome) });
  else if (!quiet && outcome === "ok") output.line(`${name}: ready to sync`);
  return outcome;
}

export function shownCheck({ output }: Pick<Session, "output">, { label, status, message }: CheckResult): string {
  const [style, mark] = marks[status];
  return `  ${output.paint(style, mark)}  ${label}${message === "" ? "" : `: ${message}`}`;
}

/** Checks that the selected tables exist, and that the settings for individual tables fit. */
async function* checkSelection(
  { log, signal }: Session,
  { selection, tableSettings: tables, source: { definition } }: ConfiguredConnection,
  source: Source,
): AsyncGenerator<CheckResult> {
  const result = { name: "selection", label: "Selection" } as const;
  const { capabilities } = definition;
  try {
    const found = await discover({ source, selection, tables, capabilities, log }, signal);
    for (const error of found.refused.values()) yield { ...result, status: "failed", message: explained(error) };
    if (found.refused.size > 0) return;
    yield { ...result, status: "ok", message: `${counted(found.tables.length, "table")} will be synced` };
  } catch (error) {
    if (!(error instanceof HeadwatersError) || error.remedy !== "reconfigure") throw error;
    yield { ...result, status: "failed", message: explained(error) };
  }
}
