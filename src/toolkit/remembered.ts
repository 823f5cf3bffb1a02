/** The last answer to a question, for as long as it is fresh. Who asks meanwhile gets the same one. A failure is not kept. */
export class Remembered<Answer> {
  readonly #freshFor: number;
  #last: { readonly at: number; readonly answer: Promise<Answer> } | null = null;

  /** `freshFor` in milliseconds. */
  constructor(freshFor: number) {
    this.#freshFor = freshFor;
  }

  get(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#last === null || performance.now() - this.#last.at > this.#freshFor) {
      const answer = ask();
      const last = { at: performance.now(), answer };
      this.#last = last;
      answer.catch(() => {
        if (this.#last === last) this.#last = null;
      });
    }
    return this.#last.answer;
  }

  forget(): void {
    this.#last = null;
  }
}
