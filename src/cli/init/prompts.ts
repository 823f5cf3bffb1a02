import { type Readable, Writable } from "node:stream";
import * as clack from "@clack/prompts";
import type { Session } from "../session.ts";

/** The user pressed Ctrl-C or Escape at a question. */
export class Cancelled extends Error {}

interface Choice {
  readonly value: string;
  readonly label: string;
  readonly hint?: string;
}

/** Questions to a person on a terminal, on standard error. Each throws {@link Cancelled} if the user gives up. */
export class Prompts {
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #signal: AbortSignal;

  constructor({ environment, output, signal }: Session) {
    const { stderr } = environment;
    const screen = new Writable({
      decodeStrings: false,
      write(text: string, _, done) {
        stderr.write(text);
        done();
      },
    });
    // The prompts read this to wrap lines.
    const size = { isTTY: true, columns: output.columns, rows: output.rows };
    this.#input = environment.stdin as Readable;
    this.#output = Object.assign(screen, size);
    this.#signal = signal;
  }

  /** Each question has a signal of its own, since it leaves its listener there. */
  get #how(): { readonly input: Readable; readonly output: Writable; readonly signal: AbortSignal } {
    return { input: this.#input, output: this.#output, signal: AbortSignal.any([this.#signal]) };
  }

  async text(message: string, initial: string, isRequired: boolean): Promise<string> {
    const answer = await clack.text({
      ...this.#how,
      message,
      initialValue: initial,
      validate: (value = "") => (isRequired && value.trim() === "" ? "A value is required." : undefined),
    });
    return answered<string | undefined>(answer)?.trim() ?? "";
  }

  /** What is typed is not shown. */
  async secret(message: string): Promise<string> {
    return answered<string | undefined>(await clack.password({ ...this.#how, message })) ?? "";
  }

  async yes(message: string): Promise<boolean> {
    return answered(await clack.confirm({ ...this.#how, message }));
  }

  async one(message: string, choices: readonly Choice[], initial?: string): Promise<string> {
    const options = [...choices];
    return answered(
      await clack.select({
        ...this.#how,
        message,
        options,
        ...(initial === undefined ? {} : { initialValue: initial }),
      }),
    );
  }

  async some(message: string, choices: readonly Choice[]): Promise<readonly string[]> {
    const options = [...choices];
    // Long lists can be searched.
    const ask = options.length > mostListed ? clack.autocompleteMultiselect : clack.multiselect;
    return answered<string[]>(await ask({ ...this.#how, message, options, required: true }));
  }
}

const mostListed = 15;

function answered<Answer>(answer: Answer | typeof clack.CANCEL_SYMBOL): Answer {
  if (clack.isCancel(answer)) throw new Cancelled();
  return answer as Answer;
}
