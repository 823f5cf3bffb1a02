import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import {
  type Action,
  answers,
  type ConnectionReport,
  eventSchema,
  type Run,
  type ServiceEvent,
} from "../../src/service/api.ts";
import { built } from "../built.ts";

type Answer<Id extends keyof typeof answers> = z.output<(typeof answers)[Id]>;

/** A running `headwaters up`. */
export class Up implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly folder: string;
  stdout = "";
  stderr = "";
  port = 0;

  private constructor(process: ChildProcess, folder: string) {
    this.process = process;
    this.folder = folder;
    process.stdout!.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    process.stderr!.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  /** Starts it in a folder with a headwaters.yaml, and waits until it listens. */
  static async start(folder: string, more: readonly string[] = [], variables: NodeJS.ProcessEnv = {}): Promise<Up> {
    const child = spawn(process.execPath, [built("cli/main.js"), "up", "--port", "0", ...more], {
      cwd: folder,
      env: { ...process.env, ...variables },
    });
    const up = new Up(child, folder);
    const port = await until("it listens", () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${up.stderr}`);
      return /:(\d+)\/(?:#|\n|$)/m.exec(up.stdout)?.[1];
    });
    up.port = Number(port);
    return up;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get token(): string {
    return readFileSync(join(this.folder, ".headwaters/.service/token"), "utf8").trim();
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { Authorization: `Bearer ${this.token}`, ...init.headers };
    return fetch(`${this.address}${path}`, { ...init, headers });
  }

  /** An answer of the API, checked by its schema. */
  async get<Id extends keyof typeof answers & `GET ${string}`>(
    id: Id,
    parts: Readonly<Record<string, string>> = {},
    query = "",
  ): Promise<Answer<Id>> {
    const path = id
      .slice("GET ".length)
      .replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parts[name]!));
    const response = await this.fetch(`/api/v1${path}${query}`);
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (answers[id] as unknown as z.ZodType<Answer<Id>>).parse(await response.json());
  }

  async act(connection: string, action: Action): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await this.fetch(`/api/v1/connections/${connection}/actions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(action),
    });
    return { status: response.status, body: await response.json() };
  }

  connection(name: string): Promise<ConnectionReport> {
    return this.get("GET /connections/{name}", { name });
  }

  /** The next run of a connection that ends after `after`. */
  async ended(name: string, kind: Run["kind"] = "sync", after: string | null = null): Promise<Run> {
    return until(`a ${kind} of ${name} has ended`, async () => {
      const runs = await this.get("GET /connections/{name}/runs", { name }, `?kind=${kind}`);
      return runs.find(({ ended, started }) => ended !== null && (after === null || started > after));
    });
  }

  /** The events until `enough`. */
  async events(enough: (events: readonly ServiceEvent[]) => boolean, lastId?: string): Promise<NumberedEvents> {
    const abort = new AbortController();
    const late = setTimeout(() => abort.abort(), 60_000);
    const headers = lastId === undefined ? {} : { "Last-Event-ID": lastId };
    const response = await this.fetch("/api/v1/events", { headers, signal: abort.signal });
    const events: ServiceEvent[] = [];
    let [text, id] = ["", ""];
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const parts = text.split("\n\n");
        text = parts.pop()!;
        for (const part of parts) {
          const found = /^id: (.+)\ndata: (.+)$/.exec(part);
          if (found === null) continue;
          id = found[1]!;
          events.push(eventSchema.parse(JSON.parse(found[2]!)));
        }
        if (enough(events)) break;
      }
    } finally {
      clearTimeout(late);
      abort.abort();
    }
    return { events, id };
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const gone = new Promise((resolve) => this.process.once("exit", resolve));
      this.process.kill(signal);
      await gone;
    }
    return this.process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

interface NumberedEvents {
  readonly events: readonly ServiceEvent[];
  readonly id: string;
}

/** Asks until there is an answer. */
export async function until<Value>(
  what: string,
  ask: () => Promise<Value | undefined | null | false> | Value | undefined | null | false,
  milliseconds = 60_000,
): Promise<Value> {
  const end = performance.now() + milliseconds;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > end) throw new Error(`it did not come to this: ${what}`);
    await wait(50);
  }
}
