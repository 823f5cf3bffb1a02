import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A server as a process of its own. */
export class ServeProcess implements AsyncDisposable {
  readonly address: string;
  readonly pid: number;
  /** What it wrote to standard output so far, line by line. */
  readonly lines: readonly string[];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: string, lines: readonly string[]) {
    this.#child = child;
    this.pid = child.pid!;
    this.address = `127.0.0.1:${port}`;
    this.lines = lines;
  }

  /** Runs a program that serves; resolves once it says at which port. */
  static async start(program: string, given: readonly string[]): Promise<ServeProcess> {
    const child = spawn(program, [...given, "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
    const lines: string[] = [];
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const port = await new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => reject(new Error(`the server ended with ${code} before it served: ${said}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        lines.push(line);
        const found = /port (\d+)/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    return new ServeProcess(child, port, lines);
  }

  /** Resolves to the exit code. */
  async stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    const ended = once(this.#child, "close");
    this.#child.kill(signal);
    await ended;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
