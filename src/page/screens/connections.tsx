import { useState } from "preact/hooks";
import type { ConnectionReport } from "../../service/api.ts";
import { count, counted, duration } from "../../toolkit/figures.ts";
import { usePage, useStore } from "../context.ts";
import { attention, grouped, matches, outcomes, problemsFirst, stateOf, verdicts } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { Age, Badge, Choice, Empty, Next, Pending, Search, When } from "../parts/words.tsx";
import { href } from "../router.ts";

type Filter = "all" | "attention" | "running" | "ok" | "idle";

function filterOf(connection: ConnectionReport): Filter {
  if (attention(connection) !== null) return "attention";
  const { state } = connection;
  if (state === "following") return "ok";
  return state === "running" || state === "ok" ? state : "idle";
}

/** All connections at a glance. */
export function Connections() {
  const { tryNow } = usePage();
  const known = useStore((state) => state.connections);
  const [search, setSearch] = useState("");
  const [filter, setFilter] = useState<Filter>("all");
  if (known === null) return <Pending error={null} retry={tryNow} />;
  const all = problemsFirst(known.values());
  const number = (of: Filter): number => all.filter((one) => filterOf(one) === of).length;
  const shown = all.filter(
    (one) =>
      (filter === "all" || filterOf(one) === filter) &&
      matches(search, one.name, one.source.title, one.destination.title, one.destination.place, one.error?.code ?? ""),
  );
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Connections</h1>
        <div class="tools">
          <Choice<Filter>
            label="Show connections"
            value={filter}
            onChange={setFilter}
            options={[
              ["all", "All", all.length],
              ["attention", "Need attention", number("attention")],
              ["running", "Running", number("running")],
              ["ok", "Up to date", number("ok")],
              ["idle", "Idle", number("idle")],
            ]}
          />
          <Search label="Search connections" value={search} onChange={setSearch} />
        </div>
      </div>
      <p class="hidden" role="status">
        {number("attention") === 0 ? "" : `${counted(number("attention"), "connection")} in need of attention`}
      </p>
      <Attention connections={shown} />
      {shown.length === 0 ? (
        <Empty>{all.length === 0 ? "The file has no connections yet." : "No connection matches."}</Empty>
      ) : (
        <ConnectionTable connections={shown} />
      )}
    </>
  );
}

/** What asks for a person, with what to do. Connections with the same error share a card. */
function Attention({ connections }: { readonly connections: readonly ConnectionReport[] }) {
  const failing = connections.flatMap((connection) => {
    const error = attention(connection);
    return error === null ? [] : [{ connection, error }];
  });
  if (failing.length === 0) return null;
  const groups = grouped(failing, ({ error }) => JSON.stringify([error.code, error.message, error.hint]));
  return (
    <section aria-labelledby="attention" class="attention">
      <h2 id="attention">Needs attention</h2>
      <div class="cards">
        {groups.map((group) => (
          <Problem
            key={group[0]!.connection.name}
            error={group[0]!.error}
            tone={group[0]!.connection.state === "problem" ? "bad" : "warn"}
          >
            <p class="links">
              {group.map(({ connection: { name } }) => (
                <a key={name} class="name" href={href({ screen: "connection", name, tab: "live" })}>
                  {name}
                </a>
              ))}
            </p>
          </Problem>
        ))}
      </div>
    </section>
  );
}

function ConnectionTable({ connections }: { readonly connections: readonly ConnectionReport[] }) {
  return (
    <table class="grid stacked connections" aria-label="Connections">
      <thead>
        <tr>
          <th>Connection</th>
          <th>State</th>
          <th>Age of the copy</th>
          <th class="number">Rows</th>
          <th>Last run</th>
          <th>Next run</th>
          <th>Last proof</th>
        </tr>
      </thead>
      <tbody>
        {connections.map((connection) => (
          <Row key={connection.name} connection={connection} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ connection }: { readonly connection: ConnectionReport }) {
  const { name, source, destination, says, rows, lastRun, lastProof, nextRun, paused, schedule, stream } = connection;
  const [tone, word] = stateOf(connection);
  return (
    <tr class={tone === "bad" || tone === "warn" ? `edge-${tone}` : undefined}>
      <td class="title-cell">
        <a class="name strong" href={href({ screen: "connection", name, tab: "live" })}>
          {name}
        </a>
        <div class="faint small">
          {source.title} → {destination.title} <span class="name">{destination.place}</span>
        </div>
      </td>
      <td data-label="State">
        <Badge tone={tone}>{word}</Badge>
        {says !== "" && says.toLowerCase() !== word.toLowerCase() && <div class="faint small">{says}</div>}
        {stream?.lag != null && <div class="faint small">{duration(stream.lag)} behind</div>}
      </td>
      <td data-label="Age of the copy">
        <Age connection={connection} />
      </td>
      <td data-label="Rows" class="number">
        {rows === null ? <span class="faint">no copy</span> : count(rows)}
      </td>
      <td data-label="Last run">
        {lastRun === null ? (
          <span class="faint">never</span>
        ) : (
          <>
            <When at={lastRun.ended ?? lastRun.started} />
            <div class="faint small">
              {outcomes[lastRun.outcome][1].toLowerCase()} in{" "}
              <span class="nowrap">{duration(lastRun.milliseconds)}</span>
            </div>
          </>
        )}
      </td>
      <td data-label="Next run">
        {paused ? (
          <span class="faint">paused</span>
        ) : (
          <Next at={nextRun} none={schedule === "follow" ? "follows" : "none"} />
        )}
        {schedule !== null && schedule !== "follow" && <div class="faint small name">{schedule}</div>}
      </td>
      <td data-label="Last proof">
        {lastProof === null || lastProof.verdict === null ? (
          <span class="faint">never</span>
        ) : (
          <>
            <Badge tone={verdicts[lastProof.verdict]}>{lastProof.verdict}</Badge>
            <div class="faint small">
              <When at={lastProof.ended ?? lastProof.started} />
            </div>
          </>
        )}
      </td>
    </tr>
  );
}
