import { createContext } from "preact";
import { useCallback, useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Client } from "./api.ts";
import type { State, Store } from "./store.ts";

/** What every screen works with. */
export interface Page {
  readonly client: Client;
  readonly store: Store;
  /** Shows a message for a while, and has screen readers say it. */
  readonly say: (message: string, tone?: "ok" | "bad") => void;
  /** Tries to reach the service now, if it is away. */
  readonly tryNow: () => void;
}

const PageContext = createContext<Page | null>(null);
export const { Provider } = PageContext;

export function usePage(): Page {
  return useContext(PageContext)!;
}

/** A part of the state. Draws again only if that part has changed. */
export function useStore<Part>(select: (state: State) => Part): Part {
  const { store } = usePage();
  return useSelected(() => select(store.state), store.subscribe);
}

/** A value from the service's clock, which ticks once a second, such as an age. It must be a plain value. */
export function useClock<Part extends string | number | boolean>(select: (now: number) => Part): Part {
  const { client } = usePage();
  return useSelected(() => select(Date.now() + client.skew), onTick);
}

function useSelected<Part>(read: () => Part, subscribe: (listener: () => void) => () => void): Part {
  const [, redraw] = useState({});
  const value = read();
  const latest = useRef({ read, value });
  latest.current = { read, value };
  useLayoutEffect(
    () =>
      subscribe(() => {
        if (!Object.is(latest.current.read(), latest.current.value)) redraw({});
      }),
    [subscribe],
  );
  return value;
}

const tickers = new Set<() => void>();
let clock: number | undefined;

function onTick(listener: () => void): () => void {
  tickers.add(listener);
  clock ??= setInterval(() => tickers.forEach((tick) => tick()), 1_000);
  return () => {
    tickers.delete(listener);
    if (tickers.size > 0) return;
    clearInterval(clock);
    clock = undefined;
  };
}

export interface Loaded<Value> {
  /** The last value that was loaded for this key; `null`: none yet. */
  readonly value: Value | null;
  readonly error: Error | null;
  readonly reload: () => void;
}

/**
 * Loads when the key changes, when `revision` does, and when the service has said hello again. While a new revision is
 * loaded, the last value of the same key stays.
 */
export function useLoaded<Value>(key: string, revision: unknown, load: () => Promise<Value>): Loaded<Value> {
  const hellos = useStore((state) => state.hellos);
  const [asked, ask] = useState({});
  const [loaded, setLoaded] = useState<{ key: string; value: Value | null; error: Error | null } | null>(null);
  useEffect(() => {
    let current = true;
    load().then(
      (value) => current && setLoaded({ key, value, error: null }),
      (error: Error) => current && setLoaded((last) => ({ key, value: last?.key === key ? last.value : null, error })),
    );
    return () => {
      current = false;
    };
  }, [key, revision, hellos, asked]);
  const reload = useCallback(() => ask({}), []);
  const ours = loaded?.key === key ? loaded : null;
  return { value: ours?.value ?? null, error: ours?.error ?? null, reload };
}
