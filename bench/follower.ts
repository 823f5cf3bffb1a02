import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import process from "node:process";
import { built } from "../test/built.ts";

interface Followed {
  readonly kind: "followed";
  readonly time: string;
  readonly lag: number | null;
}

/** What a process that follows says, a line an event; and what it takes. */
export class Follower implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lags: number[] = [];
  changes = 0;
  /** The most memory that it held, in MiB. */
  peak = 0;
  readonly #poll: NodeJS.Timeout;

  constructor(folder: string, connection: string) {
    this.child = spawn(process.execPath, [built("cli/main.js"), "follow", connection, "--json"], { cwd: folder });
    this.child.stderr!.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      const event = JSON.parse(line) as
        | Followed
        | { readonly kind: "committed"; readonly changes: Record<string, Record<string, number>> };
      if (event.kind === "followed" && event.lag !== null) this.lags.push(event.lag);
      if (event.kind === "committed")
        for (const change of Object.values(event.changes))
          this.changes += change["inserted"]! + change["updated"]! + change["deleted"]!;
    });
    this.#poll = setInterval(() => {
      const memory = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"));
      this.peak = Math.max(this.peak, Number(memory?.[1] ?? 0) / 1_024);
    }, 200);
  }

  /** Its processor time so far, in milliseconds. */
  get processor(): number {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "utf8").split(") ").at(-1)!;
    const [user, system] = fields.split(" ").slice(11, 13).map(Number);
    return (user! + system!) * 10;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll);
    const exit = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await exit;
  }
}

export function percentile(values: readonly number[], part: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `${((sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0) / 1_000).toFixed(2)} s`;
}
