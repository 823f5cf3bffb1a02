import { asHeadwatersError, type HeadwatersError } from "../../protocol/errors.ts";
import type { Source } from "../../protocol/source.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import type { Connection } from "../connection.ts";

/** Whether what failed so is done again. A table that was altered is planned anew instead. */
export function mayPass(error: HeadwatersError): boolean {
  return error.remedy === "retry" && error.code !== "TABLE_CHANGED";
}

/** How often something is done before its error counts, and who is told of each time that was in vain. */
export interface RetryPolicy {
  readonly attempts: number;
  /** `table`: the one that it was about; `null`: all. */
  onRetry(table: string | null, error: HeadwatersError, milliseconds: number): void;
}

/** Tells the log. */
export function retryPolicy({ settings, log }: Pick<Connection, "settings" | "log">): RetryPolicy {
  return {
    attempts: settings.attempts,
    onRetry: (table, error, milliseconds) => {
      const where = table === null ? "" : `table "${table}": `;
      log.warn(`${where}${error.message} (${error.code}); tried again in ${milliseconds} ms`);
    },
  };
}

/**
 * A source that is asked again where it fails in a way that may pass by itself. Its readings are not: who reads a split
 * goes on from the last checkpoint (`read-split.ts`).
 */
export function retryingSource(source: Source, retryPolicy: RetryPolicy): Source {
  const ask = <Answer>(table: string | null, signal: AbortSignal, question: () => Promise<Answer>): Promise<Answer> =>
    withRetries(table, signal, retryPolicy, question);
  return {
    check: (signal) => source.check(signal),
    discover: (signal, known) => ask(null, signal, () => source.discover(signal, known)),
    plan: (tables, kind, previous, signal) =>
      ask(tables[0]!.id, signal, () => source.plan(tables, kind, previous, signal)),
    resume: (pass, signal) => ask(pass.tables[0]!.id, signal, () => source.resume(pass, signal)),
    read: (pass, split, state, how) => source.read(pass, split, state, how),
    /** Rows that were found before it failed come once more. */
    async *lookup(table, keys, how) {
      for (let attempt = 1; ; attempt++) {
        try {
          return yield* source.lookup(table, keys, how);
        } catch (thrown) {
          await waitAfter(thrown, attempt, table.id, how.signal, retryPolicy);
        }
      }
    },
    ...(source.acknowledge === undefined ? {} : { acknowledge: (split, state) => source.acknowledge!(split, state) }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

async function withRetries<Answer>(
  table: string | null,
  signal: AbortSignal,
  retryPolicy: RetryPolicy,
  question: () => Promise<Answer>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await question();
    } catch (thrown) {
      await waitAfter(thrown, attempt, table, signal, retryPolicy);
    }
  }
}

/** Waits until it is worth trying again; throws what was thrown where it is not. */
export async function waitAfter(
  thrown: unknown,
  attempt: number,
  table: string | null,
  signal: AbortSignal,
  { attempts, onRetry }: RetryPolicy,
): Promise<void> {
  const error = asHeadwatersError(thrown);
  if (signal.aborted || !mayPass(error) || attempt >= attempts) throw thrown;
  const milliseconds = backoff(attempt + 1);
  onRetry(table, error, milliseconds);
  await sleep(milliseconds, signal);
}
