import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** What a keeper needs to run a server. */
export interface Kept {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The server's working folder. It is removed with its contents once the keeper's input ends. */
  readonly folder: string;
  /** The file to which the server's output is appended. */
  readonly log: string;
  /** The signal that stops the server at once, sent when the input ends. */
  readonly lastSignal: NodeJS.Signals;
  /** The account that the server runs as; `null`: our own. */
  readonly account: { readonly uid: number; readonly gid: number } | null;
}

/**
 * The keeper's program. It is plain JavaScript in a string, because it must run from the sources and from `dist` alike
 * with nothing but Node.js. The program starts the server, forwards signals that are named on its input, and ends with
 * the server. When the input ends, because the parent closed it or was killed, the program stops the server and removes
 * the folder.
 */
const program = `
const { spawn } = require("node:child_process");
const { appendFileSync, openSync, rmSync } = require("node:fs");
const kept = JSON.parse(process.argv[1]);
const log = openSync(kept.log, "a");
let over = false;
const server = spawn(kept.command, kept.arguments, {
  cwd: kept.folder, env: kept.environment, stdio: ["ignore", log, log], windowsHide: true, ...kept.account,
});
const end = (code) => {
  process.chdir("/");
  if (over) rmSync(kept.folder, { recursive: true, force: true, maxRetries: 10 });
  process.exit(code);
};
server.on("error", (error) => { appendFileSync(kept.log, String(error)); end(127); });
server.on("exit", (code) => end(code ?? 1));
process.stdin.setEncoding("utf8");
process.stdin.on("data", (signal) => server.kill(signal.trim()));
process.stdin.on("end", () => { over = true; server.kill(kept.lastSignal); });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
`;

/** A server process that can't outlive this process: a small Node.js process between the two stops it. */
export class Keeper {
  readonly #process: ChildProcess;
  /** Resolves to the exit code once the server has ended. After `close`, the folder is removed by then. */
  readonly ended: Promise<number>;

  constructor(kept: Kept) {
    // The keeper has its own process group, so Ctrl-C in the terminal reaches only this process, which then stops the
    // server in good order.
    const child = spawn(process.execPath, ["-e", program, JSON.stringify(kept)], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      windowsHide: true,
    });
    this.#process = child;
    this.ended = new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => resolve(code ?? 1));
    });
    // Writing to a keeper that has just ended is no failure: `ended` reports its end.
    child.stdin!.on("error", () => {});
  }

  /** Sends the server a signal and waits until the server has ended. The folder stays. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#process.stdin!.write(`${signal}\n`);
    await this.ended;
  }

  /** Stops the server at once and removes its folder. */
  async close(): Promise<void> {
    this.#process.stdin!.end();
    await this.ended;
  }
}
