import { PassThrough } from "node:stream";
import type { OutputStream } from "../../src/cli/output.ts";

export const keys = { enter: "\r", down: "\x1b[B", space: " ", stop: "\x03", clear: "\x15" } as const;

/** A person at a terminal: waits for a question, then types the answer to it. */
export class Typist implements OutputStream {
  readonly isTTY = true;
  readonly columns = 80;
  readonly rows = 24;
  /** A terminal's input, which tells of each key. */
  readonly stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  /** All that the terminal was sent. */
  text = "";
  readonly #answers: [question: string, typed: string][];
  #read = 0;

  constructor(answers: readonly (readonly [question: string, typed: string])[]) {
    this.#answers = answers.map(([question, typed]) => [question, typed]);
  }

  /** Questions that were not asked. */
  get waiting(): readonly string[] {
    return this.#answers.map(([question]) => question);
  }

  write(text: string): boolean {
    this.text += text;
    const [next] = this.#answers;
    const at = next === undefined ? -1 : this.text.indexOf(next[0], this.#read);
    if (at < 0) return true;
    this.#answers.shift();
    this.#read = this.text.length;
    setImmediate(() => this.stdin.write(next![1]));
    return true;
  }
}
