import { hostname } from "node:os";
import type { Destination } from "../protocol/destination.ts";
import { errorAt } from "../protocol/errors.ts";

/** Awaits an answer of the destination; marks its errors as the destination's. */
export async function atDestination<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (thrown) {
    throw errorAt("destination", thrown);
  }
}

/** Works as the one writer of the connection. Throws `SYNC_RUNNING` while another process is. */
export async function withLease<Result>(
  destination: Destination,
  work: (lease: number) => Promise<Result>,
): Promise<Result> {
  const holder = { host: hostname(), pid: process.pid, since: new Date().toISOString() };
  const lease = await atDestination(destination.acquire(holder));
  try {
    return await work(lease);
  } finally {
    await atDestination(destination.release(lease));
  }
}
