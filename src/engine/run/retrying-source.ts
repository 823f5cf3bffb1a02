import { type RetryPolicy, waitAfter, withRetries } from "../../net/retry.ts";
import type { Source } from "../../protocol/source.ts";
import type { Connection } from "../connection.ts";

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
