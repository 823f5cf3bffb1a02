import type { ServiceEvent } from "../service/api.ts";
import { messageParser } from "./sse.ts";

/** Whether the service can be reached. `retryAt`: when it is tried again, by the browser's clock. */
export type Link =
  | { readonly state: "connecting" }
  | { readonly state: "live" }
  | { readonly state: "away"; readonly since: number; readonly retryAt: number };

export interface Following {
  /** Opens the stream behind this id; throws if the service can't be reached or refuses. */
  readonly open: (lastId: string, signal: AbortSignal) => Promise<Response>;
  readonly receive: (event: ServiceEvent) => void;
  readonly tell: (link: Link) => void;
  /** Waits. May return early, such as when a person asks to try now. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Whether trying again is of no use, such as with a wrong token. */
  readonly isFinal: (error: unknown) => boolean;
  readonly random?: () => number;
  readonly silence?: number;
}

/** The service sends something at least every 15 s. A stream that is silent for longer counts as dead. */
const longestSilence = 45_000;

/** Reads the events of the service until the signal is aborted, and connects again whenever the stream ends. */
export async function follow({ open, receive, tell, wait, signal, isFinal, ...options }: Following): Promise<void> {
  const { random = Math.random, silence = longestSilence } = options;
  let lastId = "";
  let since = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const { id, data } of messages(open, lastId, signal, silence, opened)) {
        lastId = id;
        receive(JSON.parse(data) as ServiceEvent);
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) return;
    }
    if (signal.aborted) return;
    failures++;
    // A stream that merely ended is opened again at once.
    if (failures === 1) continue;
    if (since === 0) since = Date.now();
    const delay = reconnectDelay(failures - 1, random());
    tell({ state: "away", since, retryAt: Date.now() + delay });
    await wait(delay, signal);
  }

  function opened(): void {
    failures = 0;
    since = 0;
    tell({ state: "live" });
  }
}

/** Milliseconds to wait after this many failures in a row: 0.5 s, doubled up to 10 s, the upper half random. */
export function reconnectDelay(failures: number, random: number): number {
  const full = Math.min(10_000, 500 * 2 ** (failures - 1));
  return Math.round(full / 2 + (random * full) / 2);
}

async function* messages(
  open: Following["open"],
  lastId: string,
  signal: AbortSignal,
  silence: number,
  opened: () => void,
): AsyncGenerator<{ readonly id: string; readonly data: string }> {
  const own = new AbortController();
  const stop = (): void => own.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, silence);
  try {
    const response = await open(lastId, own.signal);
    const parse = messageParser();
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    own.signal.addEventListener("abort", () => void reader.cancel().catch(() => {}));
    opened();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(stop, silence);
      for (const message of parse(decoder.decode(value, { stream: true }))) {
        yield { id: message.id === "" ? lastId : message.id, data: message.data };
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    own.abort();
  }
}
