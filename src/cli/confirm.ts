import { HeadwatersError } from "../protocol/errors.ts";
import { Questions } from "./questions.ts";
import type { Session } from "./session.ts";

/** Asks the user whether `command` may go on. Throws if there is no terminal to ask on. */
export async function confirmed(session: Session, command: string, question: string): Promise<boolean> {
  if (session.environment.stdin.isTTY !== true || !session.output.errorIsTerminal) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `${command} asks before it changes anything, but there is no terminal to ask on.`,
      { hint: "Add --yes." },
    );
  }
  using questions = new Questions(session);
  return /^y(es)?$/i.test(await questions.ask(`${question} Type yes to go on:`));
}
