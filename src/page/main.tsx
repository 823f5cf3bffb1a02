import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Client, RequestError } from "./api.ts";
import { App, type Said } from "./app.tsx";
import { type Page, Provider } from "./context.ts";
import { TokenForm } from "./screens/token.tsx";
import { Store } from "./store.ts";
import { follow } from "./stream.ts";
import { applyTheme } from "./theme.ts";
import { keepToken, knownToken } from "./token.ts";

/** How long the answer to an action is shown. Errors stay until they are dismissed. */
const shownFor = 8_000;

function Root() {
  const [token, setToken] = useState(knownToken);
  const [refused, setRefused] = useState(false);
  useEffect(() => {
    // An address with a token may be opened in this very tab.
    const listener = (): void => setToken(knownToken());
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  if (token === null) {
    return (
      <TokenForm
        refused={refused}
        onToken={(given) => {
          keepToken(given);
          setToken(given);
        }}
      />
    );
  }
  return (
    <Session
      key={token}
      token={token}
      onRefused={() => {
        keepToken(null);
        setRefused(true);
        setToken(null);
      }}
    />
  );
}

/** All that happens while one token is in use. */
function Session({ token, onRefused }: { readonly token: string; readonly onRefused: () => void }) {
  const [said, setSaid] = useState<readonly Said[]>([]);
  const dismiss = (id: number): void => setSaid((all) => all.filter((one) => one.id !== id));
  const { page, pause } = useMemo(() => {
    const store = new Store((tell) => requestAnimationFrame(tell));
    const pause = new Pause();
    let next = 0;
    const page: Page = {
      client: new Client(token, onRefused),
      store,
      tryNow: () => pause.end(),
      say(message, tone = "ok") {
        const id = next++;
        setSaid((all) => [...all.slice(-3), { id, message, tone }]);
        if (tone === "ok") setTimeout(() => dismiss(id), shownFor);
      },
    };
    return { page, pause };
  }, []);
  useEffect(() => {
    const stopped = new AbortController();
    void followService(page, pause, stopped.signal);
    return () => stopped.abort();
  }, []);
  return (
    <Provider value={page}>
      <App said={said} dismiss={dismiss} tryNow={page.tryNow} />
    </Provider>
  );
}

/** Keeps the store up to date: everything is read when the service says hello, and events change it from there. */
async function followService({ client, store }: Page, pause: Pause, signal: AbortSignal): Promise<void> {
  const isFinal = (error: unknown): boolean => error instanceof RequestError && error.status === 401;
  await follow({
    open: client.events,
    signal,
    isFinal,
    tell: (link) => store.apply({ kind: "link", link }),
    wait: (milliseconds) => pause.wait(milliseconds),
    receive(event) {
      store.apply(event);
      if (event.kind === "hello") void readAll();
    },
  });

  async function readAll(): Promise<void> {
    const before = store.state.connections;
    const [service, connections] = await Promise.allSettled([client.service(), client.connections()]);
    // What failed is read with the next hello, for which the stream ends too.
    if (service.status === "fulfilled") store.apply({ kind: "service", service: service.value });
    if (connections.status === "fulfilled") {
      store.apply({ kind: "connections", connections: connections.value, before });
    }
  }
}

/** A wait that a person may end. */
class Pause {
  #end: () => void = () => {};

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  end(): void {
    this.#end();
  }
}

applyTheme();
render(<Root />, document.body);
