import type { ConnectionReport } from "../../service/api.ts";
import { count, counted, duration, size } from "../../toolkit/figures.ts";
import { usePage, useStore } from "../context.ts";
import { attention, stateOf, verdicts } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { Age, Badge, Bar, Empty, Fact, Next, Pending, When } from "../parts/words.tsx";
import { href, type Route, type Tab } from "../router.ts";
import { Actions, ChangedScope, HeldDeletes } from "./actions.tsx";
import { History } from "./history.tsx";
import { Live } from "./live.tsx";
import { RunScreen } from "./run.tsx";
import { TableScreen } from "./table.tsx";
import { Tables, useTables } from "./tables.tsx";

const tabs: readonly (readonly [Tab, string])[] = [
  ["live", "Live"],
  ["tables", "Tables"],
  ["history", "History"],
];

export type ConnectionRoute = Extract<Route, { readonly name: string }>;

/** Everything about one connection: what holds for all of it, and below one of its screens. */
export function Connection({ route }: { readonly route: ConnectionRoute }) {
  const { tryNow } = usePage();
  const { name } = route;
  const loaded = useStore((state) => state.connections !== null);
  const connection = useStore((state) => state.connections?.get(name));
  if (!loaded) return <Pending error={null} retry={tryNow} />;
  if (connection === undefined) {
    return (
      <>
        <h1 tabIndex={-1}>{name}</h1>
        <Empty>The file has no connection of this name.</Empty>
      </>
    );
  }
  return (
    <>
      <Head connection={connection} />
      {route.screen === "connection" && (
        <>
          <Facts connection={connection} />
          <Problems connection={connection} />
        </>
      )}
      <nav class="tabs" aria-label={`Screens of ${name}`}>
        {tabs.map(([tab, title]) => (
          <a
            key={tab}
            href={href({ screen: "connection", name, tab })}
            aria-current={tab === tabOf(route) ? (route.screen === "connection" ? "page" : "true") : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      <Screen route={route} connection={connection} />
    </>
  );
}

function tabOf(route: ConnectionRoute): Tab {
  return route.screen === "connection" ? route.tab : route.screen === "table" ? "tables" : "history";
}

function Screen({ route, connection }: { readonly route: ConnectionRoute; readonly connection: ConnectionReport }) {
  if (route.screen === "run") return <RunScreen key={route.id} id={route.id} connection={connection} />;
  if (route.screen === "table") return <TableScreen key={route.table} table={route.table} connection={connection} />;
  if (route.tab === "tables") return <Tables connection={connection} />;
  if (route.tab === "history") return <History connection={connection} />;
  return <Live connection={connection} />;
}

function Head({ connection }: { readonly connection: ConnectionReport }) {
  const { name, source, destination } = connection;
  return (
    <div class="head">
      <div>
        <h1 tabIndex={-1} class="name">
          {name}
        </h1>
        <p class="faint">
          {source.title} → {destination.title} <span class="name">{destination.place}</span>
        </p>
      </div>
      <Actions connection={connection} />
    </div>
  );
}

function Facts({ connection }: { readonly connection: ConnectionReport }) {
  const { says, rows, tables, schedule, verifySchedule, lastProof } = connection;
  const [tone, word] = stateOf(connection);
  return (
    <dl class="facts">
      <Fact name="State">
        <Badge tone={tone}>{word}</Badge>
        {says !== "" && says.toLowerCase() !== word.toLowerCase() && <span class="small faint"> {says}</span>}
      </Fact>
      <Fact name="Age of the copy">
        <Age connection={connection} />
      </Fact>
      {connection.stream !== null && <Stream stream={connection.stream} />}
      <Fact name="Rows">
        {rows === null ? "no copy" : count(rows)}{" "}
        {tables > 0 && <span class="small faint">in {counted(tables, "table")}</span>}
      </Fact>
      <Fact name="Next run">
        {connection.paused ? (
          "paused"
        ) : (
          <Next at={connection.nextRun} none={schedule === "follow" ? "follows" : "none"} />
        )}{" "}
        {schedule !== null && schedule !== "follow" && <span class="small faint name">{schedule}</span>}
      </Fact>
      <Fact name="Last proof">
        {lastProof === null || lastProof.verdict === null ? (
          "never"
        ) : (
          <>
            <Badge tone={verdicts[lastProof.verdict]}>{lastProof.verdict}</Badge>{" "}
            <span class="small faint">
              <When at={lastProof.ended ?? lastProof.started} />
            </span>
          </>
        )}
      </Fact>
      <Fact name="Next proof">
        <Next at={connection.nextVerify} none="none" />{" "}
        {verifySchedule !== null && <span class="small faint name">{verifySchedule}</span>}
      </Fact>
    </dl>
  );
}

/** How far behind the copy is, and what the source keeps for it. */
function Stream({ stream }: { readonly stream: NonNullable<ConnectionReport["stream"]> }) {
  const { lag, position, retainedBytes, retainedLimit } = stream;
  return (
    <>
      <Fact name="Lag">
        {lag === null ? "–" : duration(lag)} {position !== null && <span class="small faint name">{position}</span>}
      </Fact>
      <Fact name="Log kept by the source">
        {retainedBytes === null ? "–" : size(retainedBytes)}
        {retainedBytes !== null && retainedLimit !== null && (
          <>
            {" "}
            <span class="small faint">of {size(retainedLimit)}</span>
            <Bar
              fraction={retainedLimit === 0 ? 1 : Math.min(1, retainedBytes / retainedLimit)}
              label="part of the log that may be kept"
              role="meter"
            />
          </>
        )}
      </Fact>
    </>
  );
}

function Problems({ connection }: { readonly connection: ConnectionReport }) {
  const { held, failures, name } = connection;
  const error = connection.error ?? attention(connection);
  if (error === null && held.length === 0) return null;
  return (
    <section aria-label="What needs attention" class="cards">
      {held.map((one) => (
        <HeldDeletes key={one.table} name={name} held={one} />
      ))}
      {error !== null && !(error.code === "DELETES_STOPPED" && held.length > 0) && (
        <Problem error={error} tone={connection.state === "problem" ? "bad" : "warn"}>
          {error.code === "SCOPE_CHANGED" && <ChangedScopes connection={connection} />}
          {failures > 1 && <p class="small faint">{count(failures)} runs failed in a row.</p>}
        </Problem>
      )}
    </section>
  );
}

/** All tables of which the new scope waits for a person. */
function ChangedScopes({ connection }: { readonly connection: ConnectionReport }) {
  const { value } = useTables(connection);
  const changed = (value ?? []).filter(({ last }) => last?.error?.code === "SCOPE_CHANGED");
  return (
    <div class="actions">
      {changed.map(({ table, rows }) => (
        <ChangedScope key={table} name={connection.name} table={table} rows={rows} />
      ))}
    </div>
  );
}
