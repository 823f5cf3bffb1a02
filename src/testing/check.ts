/**
 * One check of a source, for any test runner: `for (const { name, run } of …) test(name, run)`. `run` rejects if the source
 * fails, and says what was seen.
 */
export interface Check {
  readonly name: string;
  run(): Promise<void>;
}
