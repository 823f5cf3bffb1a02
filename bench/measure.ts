import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** A program to run, as a user would. */
export interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Measured {
  /** From start to end of the process, start-up and all. */
  readonly milliseconds: number;
  /** Processor time of the process itself, in milliseconds; `null`: not to be had on this system. */
  readonly processorMilliseconds: number | null;
  /** The most memory that it and its children held, in bytes; `null`: not to be had on this system. */
  readonly peakBytes: number | null;
  /** The end of what it wrote. */
  readonly said: string;
}

/** Often enough to see each child; what the kernel keeps as the peak so far is then known up to that long before the end. */
const pollMilliseconds = 25;

/** Runs a program to its end. Throws, with the end of what it said, where it fails. */
export function measure({ command, arguments: given, environment }: Program, folder: string): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(command, given, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4_000)));
    }
    const peaks = new Map<number, number>();
    let processorMilliseconds: number | null = null;
    const poll = setInterval(() => {
      processorMilliseconds = processorTimeOf(child.pid!) ?? processorMilliseconds;
      for (const pid of withChildren(child.pid!)) peaks.set(pid, peakOf(pid) ?? peaks.get(pid) ?? 0);
    }, pollMilliseconds);
    child.on("error", (error) => {
      clearInterval(poll);
      reject(error);
    });
    child.on("close", (code) => {
      const milliseconds = performance.now() - began;
      clearInterval(poll);
      if (code !== 0) return reject(new Error(`${command} ended with ${code}:\n${said}`));
      const peak = [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
      return resolve({ milliseconds, processorMilliseconds, peakBytes: peak === 0 ? null : peak, said });
    });
  });
}

/** The process and all below it; on Linux. */
function withChildren(pid: number): number[] {
  if (process.platform !== "linux") return [];
  const found = [pid];
  for (const parent of found) {
    for (const task of list(`/proc/${parent}/task`)) {
      const children = read(`/proc/${parent}/task/${task}/children`) ?? "";
      found.push(...children.split(" ").filter(Boolean).map(Number));
    }
  }
  return found;
}

/** The kernel's own high-water mark of a process's resident memory, in bytes. */
function peakOf(pid: number): number | null {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** User and system time, as the kernel counts it: in hundredths of a second. */
function processorTimeOf(pid: number): number | null {
  const fields = read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ");
  return fields === undefined ? null : (Number(fields[11]) + Number(fields[12])) * 10;
}

/** `null` and none where the process has ended meanwhile. */
function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
