import { asHeadwatersError, type HeadwatersError } from "../protocol/errors.ts";
import { backoff, sleep } from "../toolkit/backoff.ts";

/** How often work is tried before its error counts, and who is notified of each failed attempt. */
export interface RetryPolicy {
  readonly attempts: number;
  /** Whether an error is worth another attempt. Absent: errors whose remedy is `retry`. */
  readonly again?: (error: HeadwatersError) => boolean;
  /** `table`: the table that the work was for; `null`: all tables. `milliseconds`: the wait before the next attempt. */
  onRetry(table: string | null, error: HeadwatersError, milliseconds: number): void;
}

function mayPass({ remedy }: HeadwatersError): boolean {
  return remedy === "retry";
}

/** Runs `work`, and repeats it after a wait if the policy allows another attempt. */
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

/** Waits before the next attempt. Throws `thrown` if the policy allows no other attempt. */
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
