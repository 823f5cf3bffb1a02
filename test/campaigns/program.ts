import { spawn } from "node:child_process";
import { built } from "../built.ts";

/** A process that takes longer hangs, in milliseconds. */
const longest = 180_000;

export interface Ended {
  /** `null`: a signal ended it. */
  readonly code: number | null;
  readonly output: string;
  readonly hung: boolean;
}

export interface Running {
  readonly ended: Promise<Ended>;
  isOver(): boolean;
  kill(signal: NodeJS.Signals): void;
}

/** Runs the program in a folder. */
export function start(folder: string, ...flags: readonly string[]): Running {
  const child = spawn(process.execPath, [built("cli/main.js"), ...flags], { cwd: folder });
  let output = "";
  let [over, hung] = [false, false];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const late = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, longest);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      over = true;
      clearTimeout(late);
      resolve({ code, output, hung });
    });
  });
  return { ended, isOver: () => over, kill: (signal) => void child.kill(signal) };
}
