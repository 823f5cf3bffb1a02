import { asHeadwatersError, errorAt, type HeadwatersError } from "../../protocol/errors.ts";
import type { Source } from "../../protocol/source.ts";
import { backoff, sleep } from "../../toolkit/backoff.ts";
import type { Connection } from "../connection.ts";

/** Whether to ask the source again after this error. A table that was altered is planned again instead. */
export function mayPass(error: HeadwatersError): boolean {
  return error.remedy === "retry" && error.code !== "TABLE_CHANGED" && error.side !== "destination";
}

/** How often something is tried, and what is called before each further attempt. */
export interface RetryPolicy {
  readonly attempts: number;
  /** `table`: the one that it is about; `null`: all. */
  onRetry(table: string | null, error: HeadwatersError, milliseconds: number): void;
}

/** The policy of a connection; retries are logged. */
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
 * A source that retries what fails in a way that may pass by itself. It does not retry `read`: `read-split.ts` goes on
 * from the last checkpoint. It marks every error as the source's.
 */
export function retryingSource(source: Source, policy: RetryPolicy): Source {
  const ask = async <Answer>(
    table: string | null,
    signal: AbortSignal,
    question: () => Promise<Answer>,
  ): Promise<Answer> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await question();
      } catch (thrown) {
        await waitAfter(atSource(thrown, signal), attempt, table, signal, policy);
      }
    }
  };
  return {
    check: (signal) => source.check(signal),
    discover: (signal, known) => ask(null, signal, () => source.discover(signal, known)),
    plan: (tables, kind, previous, signal) =>
      ask(tables[0]!.id, signal, () => source.plan(tables, kind, previous, signal)),
    resume: (pass, signal) => ask(pass.tables[0]!.id, signal, () => source.resume(pass, signal)),
    async *read(pass, split, state, how) {
      try {
        yield* source.read(pass, split, state, how);
      } catch (thrown) {
        throw atSource(thrown, how.signal);
      }
    },
    /** Rows that were found before it failed come again. */
    async *lookup(table, keys, how) {
      for (let attempt = 1; ; attempt++) {
        try {
          return yield* source.lookup(table, keys, how);
        } catch (thrown) {
          await waitAfter(atSource(thrown, how.signal), attempt, table.id, how.signal, policy);
        }
      }
    },
    ...(source.acknowledge === undefined ? {} : { acknowledge: (split, state) => source.acknowledge!(split, state) }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** What was thrown because of the signal stays as it is. */
function atSource(thrown: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? thrown : errorAt("source", thrown);
}

/** Waits before the next attempt; rethrows what was thrown if there should be none. */
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
