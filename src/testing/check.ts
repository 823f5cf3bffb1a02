/**
 * One thing that a source must hold, for whichever test runner: `for (const { name, run } of …) test(name, run)`.
 * `run` rejects, with what was seen, where the source does not.
 */
export interface Check {
  readonly name: string;
  run(): Promise<void>;
}
