import { useEffect, useRef, useState } from "preact/hooks";
import { useStore } from "./context.ts";
import { Badge, When } from "./parts/words.tsx";
import { href, parseRoute, type Route } from "./router.ts";
import { Connection } from "./screens/connection.tsx";
import { Connections } from "./screens/connections.tsx";
import { Footer } from "./screens/footer.tsx";
import { currentTheme, setTheme, type Theme, themes } from "./theme.ts";

/** A message to the person, such as the answer to an action. */
export interface Said {
  readonly id: number;
  readonly message: string;
  readonly tone: "ok" | "bad";
}

/** The frame around every screen. */
export function App(props: {
  readonly said: readonly Said[];
  readonly dismiss: (id: number) => void;
  readonly tryNow: () => void;
}) {
  const route = useRoute();
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          // The fragment is the route: it stays.
          event.preventDefault();
          document.querySelector<HTMLElement>("#main h1")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href({ screen: "connections" })}>
          <img src="icon.svg" alt="" width="24" height="24" />
          Headwaters
        </a>
        {"name" in route && (
          <nav class="path" aria-label="Where you are">
            <span aria-hidden="true">/</span>
            <a class="name" href={href({ screen: "connection", name: route.name, tab: "live" })}>
              {route.name}
            </a>
          </nav>
        )}
        <span class="push" />
        <LinkState />
        <ThemeSwitch />
      </header>
      <Banners tryNow={props.tryNow} />
      <main id="main">
        <Screen route={route} />
      </main>
      <Footer />
      <div class="said" role="status">
        {props.said.map(({ id, message, tone }) => (
          <div key={id} class={`notice tone-${tone}`}>
            <span>{message}</span>
            <button type="button" aria-label="Dismiss the message" onClick={() => props.dismiss(id)}>
              ✕
            </button>
          </div>
        ))}
      </div>
    </>
  );
}

function Screen({ route }: { readonly route: Route }) {
  switch (route.screen) {
    case "connections":
      return <Connections />;
    case "unknown":
      return (
        <>
          <h1 tabIndex={-1}>This screen does not exist</h1>
          <p>
            <a href={href({ screen: "connections" })}>All connections</a>
          </p>
        </>
      );
    default:
      return <Connection key={route.name} route={route} />;
  }
}

/** The route, and what belongs to a change of it: the title, and the focus on the screen's heading. */
function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  const first = useRef(true);
  const route = parseRoute(hash);
  useEffect(() => {
    const listener = (): void => setHash(location.hash);
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  const name = "name" in route ? route.name : null;
  useEffect(() => {
    document.title = name === null ? "Headwaters" : `${name} · Headwaters`;
    // Within a connection, the focus stays where it is: on the tab that was chosen.
    if (!first.current) document.querySelector<HTMLElement>("#main h1")?.focus();
    first.current = false;
  }, [name]);
  return route;
}

function LinkState() {
  const { state } = useStore(({ link }) => link);
  if (state === "live") return <Badge tone="ok">Live</Badge>;
  if (state === "away") return <Badge tone="bad">Away</Badge>;
  return <Badge tone="idle">Connecting</Badge>;
}

/** Messages about the whole service: it is away, it is newer than the page, or its file is not used. */
function Banners({ tryNow }: { readonly tryNow: () => void }) {
  const link = useStore((state) => state.link);
  const updated = useStore((state) => state.versions.length > 1);
  const configuration = useStore((state) => state.service?.configuration ?? null);
  return (
    <div class="banners" role="status">
      {link.state === "away" && (
        <div class="notice tone-bad">
          <span>
            The service went away <When at={new Date(link.since).toISOString()} />. This is its last known state. It is
            tried again <When at={new Date(link.retryAt).toISOString()} />.
          </span>
          <button type="button" onClick={tryNow}>
            Try now
          </button>
        </div>
      )}
      {updated && (
        <div class="notice tone-warn">
          <span>The service has another version now.</span>
          <button type="button" onClick={() => location.reload()}>
            Load the page anew
          </button>
        </div>
      )}
      {configuration !== null && (
        <div class="notice tone-bad">
          <span>
            <code class="code">{configuration.code}</code> The file is not used. The service goes on with the last valid
            one. {configuration.message} {configuration.hint}
          </span>
        </div>
      )}
    </div>
  );
}

function ThemeSwitch() {
  const [theme, choose] = useState<Theme>(currentTheme);
  return (
    <label class="theme">
      <span class="hidden">Colors</span>
      <select
        value={theme}
        onChange={(event) => {
          const chosen = event.currentTarget.value as Theme;
          setTheme(chosen);
          choose(chosen);
        }}
      >
        {themes.map((one) => (
          <option key={one} value={one}>
            {one === "system" ? "System colors" : one === "light" ? "Light" : "Dark"}
          </option>
        ))}
      </select>
    </label>
  );
}
