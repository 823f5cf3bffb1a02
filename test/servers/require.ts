import process from "node:process";
import { afterAll, describe, inject, test } from "vitest";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { Answer } from "./setup.ts";
import type { ServerName } from "./shared.ts";

/** There is no such server on this machine; the message says why. */
export class MissingServer extends Error {}

/** What a launcher of `src/servers` could not have or start is missing here. */
export async function orMissing<Server>(launched: Promise<Server>): Promise<Server> {
  return launched.catch((error: unknown) => {
    throw error instanceof HeadwatersError ? new MissingServer(error.message, { cause: error }) : error;
  });
}

/** The address of a server that all test files share. Throws {@link MissingServer}. */
export async function sharedServer(name: ServerName): Promise<string> {
  const response = await fetch(`${inject("servers")}/${name}`);
  const answer = (await response.json()) as Answer;
  if ("missing" in answer) throw new MissingServer(answer.missing);
  return answer.address;
}

/**
 * `describe` for a suite that needs a real server: `await describeWith(startPostgresql, "types", (server) => { … })`
 * at the top level of a test file. The server is ready when the suite is collected and let go after its last test.
 * Where there is none, the suite is skipped, and the run says so and why at its end; with HEADWATERS_REQUIRE=all it fails.
 */
export async function describeWith<Server extends AsyncDisposable>(
  start: () => Promise<Server>,
  title: string,
  suite: (server: Server) => void,
): Promise<void> {
  let server: Server;
  try {
    server = await start();
  } catch (error) {
    if (!(error instanceof MissingServer) || process.env["HEADWATERS_REQUIRE"] === "all") throw error;
    const { message } = error;
    await fetch(`${inject("servers")}/skipped`, { method: "POST", body: `${title} (${message})` });
    describe(title, () => {
      // oxlint-disable-next-line vitest/expect-expect -- it stands for the tests that can't run
      test(`not run: ${message}`, (context) => context.skip(message));
    });
    return;
  }
  describe(title, () => {
    afterAll(() => server[Symbol.asyncDispose]());
    suite(server);
  });
}
