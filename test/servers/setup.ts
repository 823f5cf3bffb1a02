import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { text } from "node:stream/consumers";
import type { TestProject } from "vitest/node";
import { type ServerName, type SharedServer, serverKinds } from "./shared.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where test files ask for shared servers. */
    servers: string;
  }
}

/** What a test file is told that asks for a server. */
export type Answer = { readonly address: string } | { readonly missing: string };

/**
 * Runs once around all tests. Test files, each in a process of its own, ask here for a server by name; it is started
 * when the first one asks and stopped at the end. They also tell here what they skip, so that it is named at the end.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = new Map<string, SharedServer>();
  const answers = new Map<string, Promise<Answer>>();
  const skipped: string[] = [];

  async function answer(name: ServerName): Promise<Answer> {
    const kind = serverKinds[name];
    const given = process.env[kind.variable];
    if (given !== undefined && given !== "") return { address: given };
    if ("kin" in kind) return answerOnce(kind.kin);
    try {
      const server = await kind.start();
      started.set(name, server);
      return { address: server.address };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { missing: `${kind.variable} is not set, and ${kind.standIn} can't be started here: ${reason}` };
    }
  }

  function answerOnce(name: ServerName): Promise<Answer> {
    const known = answers.get(name) ?? answer(name);
    answers.set(name, known);
    return known;
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = request.url?.slice(1) ?? "";
    if (isServerName(name)) {
      response.end(JSON.stringify(await answerOnce(name)));
    } else if (name === "skipped") {
      skipped.push(await text(request));
      response.end();
    } else response.writeHead(404).end();
  }

  const server = createServer((request, response) => {
    respond(request, response).catch((error: Error) => response.destroy(error));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.provide("servers", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  return async () => {
    server.close();
    server.closeAllConnections();
    for (const shared of started.values()) await shared[Symbol.asyncDispose]();
    for (const suite of skipped) process.stdout.write(`Not run: ${suite}\n`);
  };
}

function isServerName(name: string): name is ServerName {
  return Object.hasOwn(serverKinds, name);
}
