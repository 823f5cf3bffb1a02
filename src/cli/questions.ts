import { createInterface, type Interface } from "node:readline";
import type { Session } from "./session.ts";

/** Asks a person on the terminal, line by line. Lines that were typed or pasted ahead answer later questions. */
export class Questions implements Disposable {
  readonly #session: Session;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor(session: Session) {
    this.#session = session;
    const { environment, signal } = session;
    this.#interface = createInterface({ input: environment.stdin, terminal: false, signal });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  /** The trimmed answer; empty if the input has ended or the user stopped the command. */
  async ask(question: string): Promise<string> {
    this.#session.output.error(question);
    const { done, value } = await this.#lines.next();
    return done === true ? "" : String(value).trim();
  }

  [Symbol.dispose](): void {
    this.#interface.close();
  }
}
