import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { readConnections, type Request } from "../../src/cli/configuration/load.ts";
import { type ConfiguredConnection, resolveConnection } from "../../src/cli/configuration/resolve.ts";
import { Redactor } from "../../src/cli/redact.ts";
import { asHeadwatersError } from "../../src/protocol/errors.ts";

/** Reads connections and checks their settings, as commands do. */
export async function loadConnections(
  request: Request,
  context: { readonly folder: string; readonly environment: NodeJS.ProcessEnv; readonly redactor: Redactor },
): Promise<readonly ConfiguredConnection[]> {
  const connections: ConfiguredConnection[] = [];
  for (const raw of await readConnections(request, context)) {
    connections.push(await resolveConnection(raw, context.environment, context.redactor));
  }
  return connections;
}

/** A folder with configurations, and an environment to load them in. */
export class Sandbox implements AsyncDisposable {
  readonly folder: string;
  readonly redactor = new Redactor();
  readonly environment = {
    YB_PASSWORD: "hunter2",
    POSTGRESQL_PASSWORD: "hunter2",
    YB_PORT: "5434",
    WEATHER_TOKEN: "sunny",
    EMPTY: "",
  };

  constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), "headwaters-configuration-")));
  }

  /** Writes files, then loads what the request names. */
  async load(
    files: Readonly<Record<string, string>>,
    request: Partial<Request> = {},
    redactor = this.redactor,
  ): Promise<readonly ConfiguredConnection[]> {
    for (const [name, text] of Object.entries(files)) await writeFile(join(this.folder, name), text);
    return loadConnections({ names: [], ...request }, { folder: this.folder, environment: this.environment, redactor });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

/** What the user is told: message, and hint on a line of its own. */
export async function told(connections: Promise<unknown>): Promise<string> {
  try {
    await connections;
  } catch (thrown) {
    const error = asHeadwatersError(thrown);
    expect(error.code).toBe("CONFIGURATION_INVALID");
    return error.hint === null ? error.message : `${error.message}\n${error.hint}`;
  }
  throw new Error("nothing was wrong");
}
