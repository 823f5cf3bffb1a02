import { PassThrough } from "node:stream";
import { run } from "../../src/cli/program.ts";
import type { OutputStream } from "../../src/cli/output.ts";
import type { Environment } from "../../src/cli/environment.ts";
import { Pipe } from "./screen.ts";

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

export interface CliOptions {
  readonly folder?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** What the user types; given, standard input is a terminal. */
  readonly typed?: string;
  /** Standard input, in place of `typed`. */
  readonly stdin?: Environment["stdin"];
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
  /** Called with what a Ctrl-C does. */
  readonly onReady?: (stop: () => void) => void;
}

/** Runs a command line in this process, with streams of its own. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const [out, error] = [new Pipe(), new Pipe()];
  const stdin: Environment["stdin"] & { isTTY?: boolean } = new PassThrough();
  if (options.typed !== undefined) {
    stdin.isTTY = true;
    (stdin as PassThrough).end(options.typed);
  }
  const environment: Environment = {
    stdout: options.stdout ?? out,
    stderr: options.stderr ?? error,
    stdin: options.stdin ?? stdin,
    variables: options.environment ?? {},
    folder: options.folder ?? process.cwd(),
    onStop(callback) {
      options.onReady?.(callback);
      return () => {};
    },
    exit(code) {
      environment.exitCode = code;
    },
    exitCode: 0,
  };
  await run(argv, environment);
  return { code: environment.exitCode, out: out.text, error: error.text };
}
