import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { resolve } from "node:path";
import type { Path } from "./document.ts";
import type { Problem } from "./problems.ts";

/** A value from outside the file. */
export interface Fetched {
  /** The setting that contains the value. */
  readonly path: Path;
  /** The environment variable; `null`: a file or a command. */
  readonly variable: string | null;
  readonly value: string;
}

/** A configuration with its outside values inserted. */
export interface Resolved {
  readonly value: unknown;
  readonly fetched: readonly Fetched[];
  readonly problems: readonly Problem[];
  /** Settings whose outside values were not read. */
  readonly unasked: readonly Path[];
}

/** A secret is short. Anything longer is not one, such as a file that never ends. */
const mostBytes = 1 << 20;

/** In milliseconds. A command for a secret may ask a vault over the network, but not a person. */
const commandTimeout = 30_000;

/** `$${` is a literal `${`. `${NAME:-value}` uses the value if NAME is unset or empty. */
const references = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** Placeholders for values in the published examples: `<YOUR_YUGABYTEDB_HOST>`, `<TRUE_OR_FALSE>`. */
const placeholder = /^<[A-Z][A-Z0-9_]*>$/;

/**
 * Replaces `${NAME}`, `{ file: path }` and `{ command: [program, argument, …] }` by the values of environment
 * variables, files and commands. Paths of files start at `folder`, and commands run there. `mayFetch` decides which
 * settings may use files and commands; of settings for which `asks` is false, outside values stay out.
 */
export async function resolveValues(
  value: unknown,
  options: {
    readonly folder: string;
    readonly environment: NodeJS.ProcessEnv;
    mayFetch(path: Path): boolean;
    asks(path: Path): boolean;
  },
): Promise<Resolved> {
  const fetched: Fetched[] = [];
  const problems: Problem[] = [];
  const unasked: Path[] = [];

  async function at(value: unknown, path: Path): Promise<unknown> {
    if (typeof value === "string") return text(value, path);
    if (Array.isArray(value)) return Promise.all(value.map((item, index) => at(item, [...path, index])));
    if (typeof value !== "object" || value === null) return value;
    const outside = options.mayFetch(path) ? fetcherOf(value) : null;
    if (outside !== null) return options.asks(path) ? fetch(outside, path) : leave("", path);
    const entries = Object.entries(value).map(async ([key, item]) => [key, await at(item, [...path, key])] as const);
    return Object.fromEntries(await Promise.all(entries));
  }

  function leave(value: string, path: Path): string {
    unasked.push(path);
    return value;
  }

  function text(value: string, path: Path): unknown {
    if (!options.asks(path) && (value.search(references) >= 0 || placeholder.test(value))) return leave(value, path);
    if (placeholder.test(value)) {
      const remedy = "Put the real value there, or leave the setting out if it is optional.";
      problems.push({ path, message: `still holds the placeholder ${value}`, remedy });
      return value;
    }
    return value.replace(references, (whole, name: string | undefined, fallback: string | undefined) => {
      if (name === undefined) return "${";
      const given = options.environment[name];
      const found = fallback !== undefined && (given === undefined || given === "") ? fallback : given;
      if (found === undefined) {
        const remedy = `Set it (export ${name}=…), write it into .env, or give a default: \${${name}:-value}.`;
        problems.push({ path, message: `needs the environment variable ${name}, which is not set`, remedy });
        return whole;
      }
      if (given !== undefined) fetched.push({ path, variable: name, value: found });
      return found;
    });
  }

  async function fetch(outside: Outside, path: Path): Promise<unknown> {
    const result = await outside(options.folder);
    if (typeof result === "string") {
      fetched.push({ path, variable: null, value: result });
      return result;
    }
    problems.push({ path, ...result });
    return "";
  }

  return { value: await at(value, []), fetched, problems, unasked };
}

/** Resolves to the value, or to the problem. */
type Outside = (folder: string) => Promise<string | Pick<Problem, "message" | "remedy">>;

function fetcherOf(value: object): Outside | null {
  const entries = Object.entries(value);
  const [kind, argument] = entries[0] ?? [];
  if (entries.length !== 1) return null;
  if (kind === "file") return (folder) => fromFile(argument, folder);
  if (kind === "command") return (folder) => fromCommand(argument, folder);
  return null;
}

async function fromFile(path: unknown, folder: string): ReturnType<Outside> {
  if (typeof path !== "string") return { message: "must name its file as text", remedy: "Write { file: path }." };
  try {
    const text = await readBounded(resolve(folder, path));
    if (text !== null) return withoutLastNewline(text);
    return {
      message: `can't be read from the file ${path}: it does not end within 1 MiB and 30 s`,
      remedy: "Name a file that holds only the value.",
    };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return { message: `can't be read from the file ${path} (${code})`, remedy: "Check its path and permissions." };
  }
}

/** Reads a file, which may be a pipe, in bounded time and memory; `null`: it has no end within these bounds. */
async function readBounded(path: string): Promise<string | null> {
  const deadline = performance.now() + commandTimeout;
  // Without O_NONBLOCK, opening a pipe would wait for ever for somebody who writes to it.
  await using handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  const isFile = (await handle.stat()).isFile();
  const chunk = Buffer.alloc(64 << 10);
  const read = async (): Promise<number | null> => {
    try {
      return (await handle.read(chunk, 0, chunk.length, null)).bytesRead;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return null;
      throw error;
    }
  };
  const parts: Buffer[] = [];
  for (let bytes = 0; bytes <= mostBytes && performance.now() < deadline;) {
    const length = await read();
    if (length === 0 && (isFile || bytes > 0)) return Buffer.concat(parts).toString("utf8");
    // A pipe without a writer so far.
    if (length === null || length === 0) await sleep(20);
    else parts.push(Buffer.from(chunk.subarray(0, length)));
    bytes += length ?? 0;
  }
  return null;
}

async function fromCommand(command: unknown, folder: string): ReturnType<Outside> {
  if (!isCommand(command)) {
    return { message: "must name its command as a list of texts", remedy: "Write { command: [program, argument] }." };
  }
  const [program, ...args] = command;
  return new Promise((done) => {
    execFile(
      program,
      args,
      {
        cwd: folder,
        timeout: commandTimeout,
        killSignal: "SIGKILL",
        maxBuffer: mostBytes,
        encoding: "utf8",
      } as const,
      (error, stdout) => {
        if (error === null) done(withoutLastNewline(stdout));
        else
          done({
            message: `can't be read from the command ${program}: ${ending(error)}`,
            remedy: "Run it by hand to see why.",
          });
      },
    );
  });
}

function isCommand(command: unknown): command is [string, ...string[]] {
  return Array.isArray(command) && command.length > 0 && command.every((part) => typeof part === "string");
}

/** The reason why a command failed. Its output is not quoted, because it may hold the secret. */
function ending(error: Error & { code?: number | string | null; killed?: boolean; signal?: string | null }): string {
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return "it gave more than 1 MiB";
  if (error.killed === true) return `it took more than ${commandTimeout / 1000} s`;
  if (typeof error.code === "number") return `it ended with exit code ${error.code}`;
  return typeof error.code === "string"
    ? `it can't be started (${error.code})`
    : `it was ended by ${error.signal ?? "a signal"}`;
}

function withoutLastNewline(text: string): string {
  return text.replace(/\r?\n$/, "");
}
