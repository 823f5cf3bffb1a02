import { type RetryPolicy, waitAfter, withRetries } from "../../net/retry.ts";
import { errorAt, type HeadwatersError } from "../../protocol/errors.ts";
import type { Source } from "../../protocol/source.ts";
import type { Connection } from "../connection.ts";

/**
 * Whether to ask the source again after this error. A table that was altered is planned again instead, and an error of
 * the destination ends the transaction.
 */
export function mayPass({ remedy, code, side }: HeadwatersError): boolean {
  return remedy === "retry" && code !== "TABLE_CHANGED" && side !== "destination";
}

/** The retry policy of a connection for calls of its source; retries are logged. */
export function retryPolicy({ settings, log }: Pick<Connection, "settings" | "log">): RetryPolicy {
  return {
    attempts: settings.attempts,
    again: mayPass,
    onRetry: (table, error, milliseconds) => {
      const where = table === null ? "" : `table "${table}": `;
      log.warn(`${where}${error.message} (${error.code}); tried again in ${milliseconds} ms`);
    },
  };
}

/**
 * A source that retries calls whose errors may pass by themselves. It does not retry `read`: `read-split.ts` goes on
 * from the last checkpoint. It marks every error as the source's.
 */
export function retryingSource(source: Source, policy: RetryPolicy): Source {
  const ask = <Answer>(table: string | null, signal: AbortSignal, question: () => Promise<Answer>): Promise<Answer> =>
    withRetries(table, signal, policy, () =>
      question().catch((thrown: unknown) => {
        throw atSource(thrown, signal);
      }),
    );
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
    ...(source.release === undefined ? {} : { release: (tables) => source.release!(tables) }),
    ...(source.acknowledge === undefined ? {} : { acknowledge: (split, state) => source.acknowledge!(split, state) }),
    ...(source.keepFrom === undefined ? {} : { keepFrom: (next, signal) => source.keepFrom!(next, signal) }),
    ...(source.changed === undefined
      ? {}
      : { changed: (within, among, signal) => source.changed!(within, among, signal) }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** An error that the signal caused is thrown unchanged. */
function atSource(thrown: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? thrown : errorAt("source", thrown);
}
