import { HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import { backoff, sleep } from "../toolkit/backoff.ts";
import { duration } from "../toolkit/figures.ts";

/** How often a request is made before the status of its answer counts. */
const tries = 6;
/** A service that asks for a longer wait than this, in milliseconds, is left to a later sync. */
const longestWait = 300_000;

/**
 * The statuses that may pass by themselves. `any`: the service did nothing, so that every request may be repeated; `safe`: it
 * may have done it, so that only a request may be repeated which does no more twice than once (RFC 9110, 9.2.2).
 */
const passing: Readonly<Record<number, "any" | "safe">> = {
  408: "any",
  425: "any",
  429: "any",
  500: "safe",
  502: "safe",
  503: "any",
  504: "safe",
};

const safeMethods = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/**
 * `fetch` for a source. It ends with the signal of the sync. An answer that may be another later (429, 5xx) is waited for as
 * long as its Retry-After says, or else with backoff, and the request is made again; the log says so. Throws
 * `SERVER_UNAVAILABLE` if that does not help. All other answers are given as they are.
 */
export function retryingFetch(log: Log, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const request = typeof input === "object" && "url" in input ? input : null;
    const method = (init?.method ?? request?.method ?? "GET").toUpperCase();
    const { origin, pathname } = new URL(request?.url ?? String(input));
    // A query may have secrets.
    const named = `${method} ${origin}${pathname}`;
    const own = init?.signal ?? request?.signal;
    const how = { ...init, signal: own === undefined || own === null ? signal : AbortSignal.any([signal, own]) };
    // What is read from a stream can't be sent again.
    const isStream = init?.body instanceof ReadableStream || (request !== null && request.body !== null);
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(input, how);
      const kind = passing[response.status];
      if (kind === undefined || (kind === "safe" && !safeMethods.has(method))) return response;
      await response.body?.cancel();
      const asked = retryAfter(response.headers.get("retry-after"));
      if (asked !== null && asked > longestWait)
        throw unavailable(`${named} answers ${response.status}, and asks to wait ${duration(asked)}`);
      if (attempt === tries || isStream)
        throw unavailable(`${named} answers ${response.status}${attempt === 1 ? "" : `, ${attempt} times`}`);
      const wait = asked === null ? backoff(attempt + 1) : asked + backoff(2, Math.min(1_000, asked));
      log.info(
        `${named} answers ${response.status}: trying again in ${duration(wait)}, attempt ${attempt + 1} of ${tries}`,
      );
      await sleep(wait, how.signal);
    }
  };
}

/** Milliseconds to wait, by a header in seconds or with a date; `null`: it does not say. */
function retryAfter(header: string | null): number | null {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  const milliseconds = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1_000;
  return Number.isNaN(milliseconds) ? null : Math.max(0, milliseconds);
}

function unavailable(message: string): HeadwatersError {
  return new HeadwatersError("SERVER_UNAVAILABLE", message, {
    hint: "The next attempt or sync goes on from the last checkpoint. If it happens often, request less at a time.",
  });
}
