import type { OutputStream } from "./output.ts";

/** The process that a command runs in. Tests replace it. */
export interface Environment {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly variables: NodeJS.ProcessEnv;
  /** The current folder. */
  readonly folder: string;
  /** Calls `callback` at each Ctrl-C or SIGTERM. The returned function ends this. */
  onStop(callback: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
  exitCode: number;
}
