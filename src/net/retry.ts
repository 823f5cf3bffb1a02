import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import { backoff, sleep } from "../toolkit/backoff.ts";

/** How often something is done before its error counts, and who is told of each time that was in vain. */
export interface RetryPolicy {
  readonly attempts: number;
  /** Whether it is worth another try; absent: where its remedy is `retry`. */
  readonly again?: (error: HeadwatersError) => boolean;
  /** `table`: the one that it was about; `null`: all. */
  onRetry(table: string | null, error: HeadwatersError, milliseconds: number): void;
}

function mayPass({ remedy }: HeadwatersError): boolean {
  return remedy === "retry";
}

/** Does something; again, after a while, where it fails in a way that may pass by itself. */
export async function withRetries<Result>(
  table: string | null,
  signal: AbortSignal,
  policy: RetryPolicy,
  work: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      await waitAfter(thrown, attempt, table, signal, policy);
    }
  }
}

/** Waits until it is worth trying again; throws what was thrown where it is not. */
export async function waitAfter(
  thrown: unknown,
  attempt: number,
  table: string | null,
  signal: AbortSignal,
  { attempts, again = mayPass, onRetry }: RetryPolicy,
): Promise<void> {
  const error = asHeadwatersError(thrown);
  if (signal.aborted || !again(error) || attempt >= attempts) throw thrown;
  const milliseconds = backoff(attempt + 1);
  onRetry(table, error, milliseconds);
  await sleep(milliseconds, signal);
}
