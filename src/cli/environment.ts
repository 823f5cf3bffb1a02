import type { OutputStream } from "./output.ts";

/** What a command sees of the process it runs in; tests give it another. */
export interface Environment {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly variables: NodeJS.ProcessEnv;
  /** The current folder. */
  readonly folder: string;
  /** Calls back at each Ctrl-C or SIGTERM, until the result is called. */
  onStop(callback: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
  exitCode: number;
}
