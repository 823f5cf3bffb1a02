import { expect } from "vitest";
import { asHeadwatersError, type HeadwatersError } from "../../src/protocol/errors.ts";
import type { Source } from "../../src/protocol/source.ts";
import { startFront } from "../servers/front.ts";

const never = new AbortController().signal;

/** A server that answered once in a run and is gone is away for a while; one that never answered is a wrong setting. */
export async function expectAway(
  server: { readonly host: string; readonly port: number },
  open: (port: number) => Promise<Source>,
): Promise<void> {
  await using front = await startFront(server);
  await using reached = await open(front.port);
  await reached.discover(never);
  await front.stop();
  // What broke at first may still be the connection.
  await expect
    .poll(() => failure(reached), { timeout: 30_000 })
    .toMatchObject({ code: "SERVER_UNAVAILABLE", remedy: "retry" });
  await using other = await open(front.port);
  expect(await failure(other)).toMatchObject({ code: "CONNECTION_REFUSED", remedy: "retry" });
}

async function failure(source: Source): Promise<HeadwatersError | null> {
  return await source.discover(never).then(() => null, asHeadwatersError);
}
