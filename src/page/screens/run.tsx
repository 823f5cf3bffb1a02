import { useState } from "preact/hooks";
import type { ConnectionReport, LogLine, TableRunReport } from "../../service/api.ts";
import { count, counted, duration, rate, size } from "../../toolkit/figures.ts";
import { useLoaded, usePage, useStore } from "../context.ts";
import { grouped, localTime, matches, type Tone, verdicts } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { At, Badge, Choice, Empty, Fact, Pending, Search, When } from "../parts/words.tsx";
import { href } from "../router.ts";
import { withLive } from "../series.ts";
import { Outcome } from "./history.tsx";

/** One run: what each table did, its errors, and its log. */
export function RunScreen({ id, connection }: { readonly id: string; readonly connection: ConnectionReport }) {
  const { name, running, lastRun } = connection;
  const { client } = usePage();
  // A run under way is loaded again when it ends.
  const revision = running?.id === id ? "running" : lastRun?.id === id ? lastRun.ended : "ended";
  const { value, error, reload } = useLoaded(`run ${id}`, revision, () => client.run(id));
  return (
    <>
      <h2 class="crumbs">
        <a href={href({ screen: "connection", name, tab: "history" })}>History</a> / run{" "}
        {value === null ? <span class="name">{id}</span> : <At at={value.run.started} />}
      </h2>
      {value === null ? (
        <Pending error={error} retry={reload} />
      ) : (
        <>
          <RunFacts run={value.run} />
          <Errors run={value.run} tables={value.tables} name={name} />
          <RunTables tables={value.tables} name={name} />
        </>
      )}
      <Log id={id} revision={revision} />
    </>
  );
}

function RunFacts({ run }: { readonly run: NonNullable<ConnectionReport["running"]> }) {
  return (
    <dl class="facts">
      <Fact name="Outcome">
        <Outcome run={run} />
      </Fact>
      <Fact name="Kind">
        {run.kind} <span class="small faint">started by {run.trigger}</span>
      </Fact>
      <Fact name="Ended">
        <When at={run.ended} none="not yet" /> <span class="small faint">after {duration(run.milliseconds)}</span>
      </Fact>
      <Fact name="Read">
        {counted(run.rowsRead, "row")} <span class="small faint">{size(run.bytesRead)}</span>
      </Fact>
      <Fact name="Inserted">{count(run.inserted)}</Fact>
      <Fact name="Updated">{count(run.updated)}</Fact>
      <Fact name="Deleted">{count(run.deleted)}</Fact>
      <Fact name="Copy is from">
        <When at={run.asOf ?? null} none="not known" />
      </Fact>
    </dl>
  );
}

/** Errors by code: of the run, and of its tables. */
function Errors(props: {
  readonly run: NonNullable<ConnectionReport["running"]>;
  readonly tables: readonly TableRunReport[];
  readonly name: string;
}) {
  const { run, tables, name } = props;
  const failed = tables.filter(({ error }) => error !== null);
  const groups = grouped(failed, ({ error }) => error!.code);
  const ofRun = run.error !== null && !failed.some(({ error }) => error!.code === run.error!.code) ? run.error : null;
  if (groups.length === 0 && ofRun === null) return null;
  return (
    <section aria-labelledby="run-errors">
      <h2 id="run-errors">Errors by code</h2>
      <div class="cards">
        {ofRun !== null && <Problem error={ofRun} />}
        {groups.map((group) => (
          <Problem key={group[0]!.error!.code} error={group[0]!.error!}>
            <p class="links">
              {group.map(({ table }) => (
                <a key={table} class="name" href={href({ screen: "table", name, table })}>
                  {table}
                </a>
              ))}
            </p>
          </Problem>
        ))}
      </div>
    </section>
  );
}

const tableOutcomes: Readonly<Record<TableRunReport["outcome"], Tone>> = {
  running: "run",
  whole: "ok",
  failed: "bad",
  stopped: "idle",
};

/** What each table of a run did. */
export function RunTables({ tables, name }: { readonly tables: readonly TableRunReport[]; readonly name: string }) {
  const [search, setSearch] = useState("");
  const shown = tables.filter(({ table, error }) => matches(search, table, error?.code ?? ""));
  return (
    <section aria-labelledby="run-tables">
      <div class="head">
        <h2 id="run-tables">{counted(tables.length, "table")}</h2>
        {tables.length > 5 && <Search label="Search tables" value={search} onChange={setSearch} />}
      </div>
      {tables.length === 0 ? (
        <Empty>The run did not reach any table.</Empty>
      ) : (
        <table class="grid stacked" aria-labelledby="run-tables">
          <thead>
            <tr>
              <th>Table</th>
              <th>Outcome</th>
              <th>Passes</th>
              <th class="number">Read</th>
              <th class="number">Inserted</th>
              <th class="number">Updated</th>
              <th class="number">Deleted</th>
              <th class="number">Time</th>
              <th>Copy is from</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((table) => (
              <Row key={table.table} name={name} report={table} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Row({ report, name }: { readonly report: TableRunReport; readonly name: string }) {
  const { table, outcome, passes, verdict, reasons, error } = report;
  return (
    <tr class={error !== null || verdict === "DIVERGED" ? "edge-bad" : undefined}>
      <td class="title-cell">
        <a class="name strong" href={href({ screen: "table", name, table })}>
          {table}
        </a>
        {reasons.map((reason) => (
          <div key={reason} class="faint small">
            {reason}
          </div>
        ))}
      </td>
      <td data-label="Outcome">
        {verdict === null ? (
          <Badge tone={tableOutcomes[outcome]}>{outcome}</Badge>
        ) : (
          <Badge tone={verdicts[verdict]}>{verdict}</Badge>
        )}
        {error !== null && (
          <div class="small">
            <code class="code">{error.code}</code>
          </div>
        )}
      </td>
      <td data-label="Passes">{passes.length === 0 ? "–" : passes.join(", ")}</td>
      <td data-label="Read" class="number">
        {count(report.rowsRead)}
        <div class="faint small">{size(report.bytesRead)}</div>
      </td>
      <td data-label="Inserted" class="number">
        {count(report.inserted)}
      </td>
      <td data-label="Updated" class="number">
        {count(report.updated)}
      </td>
      <td data-label="Deleted" class="number">
        {count(report.deleted)}
      </td>
      <td data-label="Time" class="number">
        {duration(report.milliseconds)}
        {report.milliseconds > 0 && report.rowsRead > 0 && (
          <div class="faint small">{rate((report.rowsRead * 1_000) / report.milliseconds)}</div>
        )}
      </td>
      <td data-label="Copy is from">
        <When at={report.asOf} none="never whole" />
      </td>
    </tr>
  );
}

type Level = "all" | "warn" | "error";
const levels: Readonly<Record<Level, readonly LogLine["level"][]>> = {
  all: ["debug", "info", "warn", "error"],
  warn: ["warn", "error"],
  error: ["error"],
};

/** The log of the run. Lines of a run under way are added as they come. */
function Log({ id, revision }: { readonly id: string; readonly revision: unknown }) {
  const { client } = usePage();
  const [search, setSearch] = useState("");
  const [level, setLevel] = useState<Level>("all");
  const { value, error, reload } = useLoaded(`log ${id}`, revision, () => client.log(id, ""));
  const live = useStore((state) => state.logs.get(id)) ?? [];
  const lines = withLive(value ?? [], live);
  const shown = lines.filter((line) => levels[level].includes(line.level) && matches(search, line.message, line.level));
  return (
    <section aria-labelledby="log">
      <div class="head">
        <h2 id="log">Log</h2>
        <div class="tools">
          <Choice<Level>
            label="Level"
            value={level}
            onChange={setLevel}
            options={[
              ["all", "All", lines.length],
              ["warn", "Warnings", lines.filter((line) => levels.warn.includes(line.level)).length],
              ["error", "Errors", lines.filter((line) => line.level === "error").length],
            ]}
          />
          <Search label="Search the log" value={search} onChange={setSearch} />
        </div>
      </div>
      {value === null && <Pending error={error} retry={reload} />}
      {value !== null && shown.length === 0 && (
        <Empty>{lines.length === 0 ? "The log is empty." : "No line matches."}</Empty>
      )}
      {shown.length > 0 && (
        <ol class="log" tabIndex={0} aria-label="Lines of the log">
          {shown.map((line, index) => (
            <li key={index} class={`level-${line.level}`}>
              <time dateTime={line.at}>{localTime(line.at).slice(11)}</time> <b>{line.level}</b>{" "}
              <span>{line.message}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
