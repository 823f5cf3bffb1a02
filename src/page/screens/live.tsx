import { useState } from "preact/hooks";
import type { ConnectionReport, TableProgress } from "../../service/api.ts";
import { count, counted, duration, rate, size } from "../../toolkit/figures.ts";
import { useClock, useLoaded, usePage, useStore } from "../context.ts";
import { fraction, matches, outcomes, tableStates } from "../format.ts";
import { Badge, Bar, Choice, Empty, Pending, Search, When } from "../parts/words.tsx";
import { href } from "../router.ts";
import { RunTables } from "./run.tsx";

type Filter = "all" | TableProgress["state"];

/** The run that is under way, table by table, as the terminal shows it; else how the last one ended. */
export function Live({ connection }: { readonly connection: ConnectionReport }) {
  const { name, running, lastRun } = connection;
  const { client, store } = usePage();
  const progress = useStore((state) => state.progress.get(name));
  // A verify is no sync: it is not the last run of the connection, but it may be the last one that was shown.
  const newest = useStore((state) => state.runs.get(name)?.[0]);
  const shown = running ?? newest ?? lastRun;
  // What happened before the page was open; what comes later comes as events.
  useLoaded(`progress ${name} ${running?.id}`, null, async () => {
    if (running === null) return;
    const tables = await client.progress(name);
    const live = store.state.progress.get(name);
    const newer = live?.run === running.id ? live.tables : new Map<string, TableProgress>();
    const missing = tables.filter(({ table }) => !newer.has(table));
    store.apply({ kind: "progress", run: running.id, connection: name, tables: missing });
  });
  if (shown === null) return <Empty>This connection has not run yet.</Empty>;
  const tables = progress?.run === shown.id ? [...progress.tables.values()] : [];
  if (running === null && tables.length === 0) return <LastRun run={shown} />;
  return <ProgressTables name={name} run={shown} tables={tables} />;
}

type Run = NonNullable<ConnectionReport["lastRun"]>;

/** How the last run ended, where its progress was not seen. */
function LastRun({ run }: { readonly run: Run }) {
  const { client } = usePage();
  const { value, error, reload } = useLoaded(`run ${run.id}`, null, () => client.run(run.id));
  return (
    <>
      <p class="totals">
        No run is under way. The last one <b>{outcomes[run.outcome][1].toLowerCase()}</b>{" "}
        <When at={run.ended ?? run.started} />: {counted(run.rowsRead, "row")} read in {duration(run.milliseconds)}.{" "}
        <a href={href({ screen: "run", name: run.connection, id: run.id })}>Its log</a>
      </p>
      {value === null ? (
        <Pending error={error} retry={reload} />
      ) : (
        <RunTables tables={value.tables} name={run.connection} />
      )}
    </>
  );
}

function ProgressTables(props: {
  readonly name: string;
  readonly run: Run;
  readonly tables: readonly TableProgress[];
}) {
  const { name, run, tables } = props;
  const [search, setSearch] = useState("");
  const [filter, setFilter] = useState<Filter>("all");
  const states = [...new Set(tables.map(({ state }) => state))];
  const shown = failedFirst(tables).filter(
    ({ table, state }) => (filter === "all" || filter === state) && matches(search, table),
  );
  return (
    <section aria-label={run.outcome === "running" ? "The run that is under way" : "The last run"}>
      <div class="head">
        <Totals run={run} tables={tables} />
        {tables.length > 5 && (
          <div class="tools">
            <Choice<Filter>
              label="Show tables"
              value={filter}
              onChange={setFilter}
              options={[
                ["all", "All", tables.length],
                ...states.map((state) => [state, state, tables.filter((one) => one.state === state).length] as const),
              ]}
            />
            <Search label="Search tables" value={search} onChange={setSearch} />
          </div>
        )}
      </div>
      {tables.length === 0 && <Empty>The run is starting …</Empty>}
      {tables.length > 0 && (
        <table class="grid stacked live" aria-label="Tables of the run">
          <thead>
            <tr>
              <th>Table</th>
              <th>State</th>
              <th>Pass</th>
              <th class="number">Rows</th>
              <th class="number">Rows/s</th>
              <th>Done</th>
              <th class="number">Left</th>
              <th class="number">Splits</th>
              <th class="number">Written</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((table) => (
              <Row key={table.table} name={name} progress={table} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Totals({ run, tables }: { readonly run: Run; readonly tables: readonly TableProgress[] }) {
  const running = run.outcome === "running";
  const seconds = useClock((now) => (running ? Math.floor((now - Date.parse(run.started)) / 1_000) : 0));
  const rows = sum(tables, (table) => table.rows);
  const pace = sum(tables, (table) =>
    table.state === "reading" || table.state === "verifying" ? table.rowsPerSecond : 0,
  );
  const took = running ? Math.max(0, seconds * 1_000) : run.milliseconds;
  const [tone, word] = outcomes[run.outcome];
  return (
    <p class="totals">
      <Badge tone={tone}>
        {running ? (run.kind === "verify" ? "Verifying" : run.kind === "follow" ? "Following" : "Syncing") : word}
      </Badge>{" "}
      <b>{counted(rows, "row")}</b> read, {size(sum(tables, (table) => table.bytes))}, {duration(took)}
      {running && pace > 0 && (
        <>
          , <b>{rate(pace)}</b>
        </>
      )}
      {!running && (
        <>
          {" "}
          <a href={href({ screen: "run", name: run.connection, id: run.id })}>What it did</a>
        </>
      )}
    </p>
  );
}

function Row({ name, progress }: { readonly name: string; readonly progress: TableProgress }) {
  const { table, state, pass, rows, rowsPerSecond, splits, splitsDone, written, left, note } = progress;
  const done = fraction(progress);
  const active = state === "reading" || state === "verifying";
  return (
    <tr class={state === "failed" ? "edge-bad" : undefined}>
      <td class="title-cell">
        <a class="name" href={href({ screen: "table", name, table })}>
          {table}
        </a>
        {note !== null && <div class="faint small">{note}</div>}
      </td>
      <td data-label="State">
        <Badge tone={tableStates[state]}>{state}</Badge>
      </td>
      <Cell label="Pass" text={pass} left />
      <Cell label="Rows" text={state === "waiting" ? null : count(rows)} />
      <Cell label="Rows/s" text={active ? rate(rowsPerSecond) : null} />
      {done === null ? (
        <Cell label="Done" text={null} left />
      ) : (
        <td data-label="Done">
          <span class="done">
            <Bar fraction={done} label={`${table}, done`} />
            <span class="done-text">{Math.floor(done * 100)}%</span>
          </span>
        </td>
      )}
      <Cell label="Left" text={left === null || !active ? null : duration(left)} />
      <Cell label="Splits" text={splits === 0 ? null : `${splitsDone}/${splits}`} />
      <Cell label="Written" text={state === "waiting" || state === "verifying" ? null : count(written)} />
    </tr>
  );
}

/** A figure, if there is one: a narrow screen leaves out missing figures. */
function Cell(props: { readonly label: string; readonly text: string | null; readonly left?: boolean }) {
  const { label, text, left } = props;
  return (
    <td data-label={label} class={`${left === true ? "" : "number"} ${text === null ? "void" : ""}`}>
      {text ?? "–"}
    </td>
  );
}

/** Failed tables, then the others by name, so that rows keep their places. */
function failedFirst(tables: readonly TableProgress[]): readonly TableProgress[] {
  const rank = ({ state }: TableProgress): number => (state === "failed" ? 0 : 1);
  return tables.toSorted((a, b) => rank(a) - rank(b) || a.table.localeCompare(b.table));
}

function sum(tables: readonly TableProgress[], of: (table: TableProgress) => number): number {
  return tables.reduce((total, table) => total + of(table), 0);
}
