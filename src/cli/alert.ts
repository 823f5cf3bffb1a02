import { Command } from "commander";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import { deliver, testAlert } from "../service/alerts.ts";
import { defaultFile } from "./configuration/load.ts";
import type { Environment } from "./environment.ts";
import type { Outcome } from "./exit-codes.ts";
import { examples, withOutputOptions } from "./options.ts";
import { type OutputOptions, runCommand, type Session } from "./session.ts";
import { loadSettings } from "./up/load-service.ts";

interface AlertFlags extends OutputOptions {
  readonly file?: string;
}

export function alertCommand(environment: Environment): Command {
  const test = new Command("test")
    .description("Sends a test alert to the webhooks of service.alerts, and shows their answers.")
    .argument("[alert...]", "names of alerts; all if none is named")
    .optionsGroup("Which connections:")
    .option("-f, --file <path>", `the file with the connections (default: ${defaultFile})`);
  withOutputOptions(test)
    .addHelpText("after", examples(["alert test", "every alert of headwaters.yaml"], ["alert test ops", "one of them"]))
    .action((names: readonly string[], flags: AlertFlags) =>
      runCommand(environment, flags, (session) => sendTests(session, names, flags)),
    );
  return new Command("alert")
    .description("Alerts of headwaters up. They go to webhooks when something needs a person.")
    .addHelpText("after", examples(["alert test", "do alerts arrive?"]))
    .addCommand(test);
}

async function sendTests(session: Session, names: readonly string[], flags: AlertFlags): Promise<Outcome> {
  const { environment, output, json, quiet, tell, signal } = session;
  const { folder, variables } = environment;
  const { alerts } = await loadSettings({ file: flags.file, folder, variables, redactor: output.redactor });
  const all = Object.keys(alerts);
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined || all.length === 0) {
    const message =
      unknown === undefined ? "there are no alerts to test." : `there is no alert ${JSON.stringify(unknown)}.`;
    const hint = all.length === 0 ? "Add them under service.alerts." : `There are ${all.join(", ")}.`;
    throw new HeadwatersError("CONFIGURATION_INVALID", message, { hint });
  }
  for (const name of names.length === 0 ? all : names) {
    try {
      await deliver(alerts[name]!, testAlert(), signal, 1);
    } catch (thrown) {
      const { message } = asHeadwatersError(thrown);
      throw new HeadwatersError("CONFIGURATION_INVALID", `the test could not be sent to ${name}: ${message}`, {
        hint: `Check service.alerts.${name}.url, and whether this machine may reach it.`,
        cause: thrown,
      });
    }
    if (json) tell(null, { kind: "sent", alert: name });
    else if (!quiet) output.line(`the test was sent to ${name}`);
  }
  return "ok";
}
