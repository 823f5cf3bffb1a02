import { useMemo, useState } from "preact/hooks";
import type { ConnectionReport, Run } from "../../service/api.ts";
import { count, counted, duration, size } from "../../toolkit/figures.ts";
import { useLoaded, usePage, useStore } from "../context.ts";
import { grouped, matches, outcomes, verdicts } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { At, Badge, Choice, Empty, Pending, Search, When } from "../parts/words.tsx";
import { href } from "../router.ts";
import { withRecent } from "../series.ts";
import { Charts } from "./charts.tsx";

const day = 86_400_000;
const spans = {
  "1 hour": day / 24,
  "24 hours": day,
  "7 days": 7 * day,
  "30 days": 30 * day,
  "90 days": 90 * day,
} as const;
type Span = keyof typeof spans;
const none: readonly Run[] = [];

/** What the runs of a connection did over time. */
export function History({ connection }: { readonly connection: ConnectionReport }) {
  const { name } = connection;
  const { client } = usePage();
  const [span, setSpan] = useState<Span>("7 days");
  const recent = useStore((state) => state.runs.get(name)) ?? none;
  const { value, error, reload } = useLoaded(`runs ${name} ${span}`, null, async () => {
    const now = Date.now() + client.skew;
    return { runs: await client.runs(name, now - spans[span]), from: now - spans[span] };
  });
  const runs = useMemo(() => withRecent(value?.runs ?? none, recent), [value, recent]);
  return (
    <>
      <div class="tools">
        <Choice<Span>
          label="Show the last"
          value={span}
          onChange={setSpan}
          options={(Object.keys(spans) as Span[]).map((one) => [one, one] as const)}
        />
      </div>
      {value === null ? (
        <Pending error={error} retry={reload} />
      ) : (
        <>
          <Charts runs={runs} since={value.from} freshness={connection.freshness} />
          <div class="columns">
            <Proofs runs={runs} name={name} />
            <SchemaChanges connection={connection} />
          </div>
          <Errors runs={runs} name={name} />
          <Runs runs={runs} name={name} />
        </>
      )}
    </>
  );
}

function Proofs({ runs, name }: { readonly runs: readonly Run[]; readonly name: string }) {
  const proofs = runs.filter(({ verdict }) => verdict !== null);
  const shown = proofs.slice(0, 12);
  return (
    <section aria-labelledby="proofs">
      <h2 id="proofs">Proofs</h2>
      {shown.length === 0 ? (
        <Empty>No proof in this time.</Empty>
      ) : (
        <ol class="lines">
          {shown.map((run) => (
            <li key={run.id}>
              <Badge tone={verdicts[run.verdict!]}>{run.verdict}</Badge>
              <a href={href({ screen: "run", name, id: run.id })}>
                <At at={run.ended ?? run.started} />
              </a>
            </li>
          ))}
        </ol>
      )}
      {proofs.length > shown.length && <p class="faint small">{counted(proofs.length, "proof")} in this time.</p>}
    </section>
  );
}

function SchemaChanges({ connection }: { readonly connection: ConnectionReport }) {
  const { client } = usePage();
  const { value, error, reload } = useLoaded(`schema ${connection.name}`, connection.lastRun?.id, () =>
    client.schemaChanges(connection.name),
  );
  const shown = value?.slice(0, 12);
  return (
    <section aria-labelledby="schema">
      <h2 id="schema">Schema changes</h2>
      {shown === undefined && <Pending error={error} retry={reload} />}
      {shown?.length === 0 && <Empty>The schema has not changed.</Empty>}
      {shown !== undefined && shown.length > 0 && (
        <ol class="lines">
          {shown.map((change) => (
            <li key={`${change.at} ${change.table} ${change.change}`}>
              <At at={change.at} />
              <span>
                <b class="name">{change.table}</b>: {change.change}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

/** Errors of runs by code, the last one first. */
function Errors({ runs, name }: { readonly runs: readonly Run[]; readonly name: string }) {
  const failed = runs.filter(({ error }) => error !== null);
  if (failed.length === 0) return null;
  const groups = grouped(failed, ({ error }) => error!.code);
  return (
    <section aria-labelledby="errors">
      <h2 id="errors">Errors by code</h2>
      <div class="cards">
        {groups.map((group) => (
          <Problem key={group[0]!.error!.code} error={group[0]!.error!}>
            <p class="small faint">
              {counted(group.length, "run")}, the last{" "}
              <a href={href({ screen: "run", name, id: group[0]!.id })}>
                <When at={group[0]!.ended ?? group[0]!.started} />
              </a>
            </p>
          </Problem>
        ))}
      </div>
    </section>
  );
}

type Kind = "all" | Run["kind"];
type Outcome = "all" | Run["outcome"];

const shownAtFirst = 50;

function Runs({ runs, name }: { readonly runs: readonly Run[]; readonly name: string }) {
  const [kind, setKind] = useState<Kind>("all");
  const [outcome, setOutcome] = useState<Outcome>("all");
  const [search, setSearch] = useState("");
  const [most, setMost] = useState(shownAtFirst);
  const fitting = runs.filter(
    (run) =>
      (kind === "all" || run.kind === kind) &&
      (outcome === "all" || run.outcome === outcome) &&
      matches(search, run.id, run.trigger, run.error?.code ?? "", run.error?.message ?? "", run.verdict ?? ""),
  );
  const number = (fits: (run: Run) => boolean): number => runs.filter(fits).length;
  const outcomesThere = (Object.keys(outcomes) as Run["outcome"][]).filter((one) =>
    runs.some((run) => run.outcome === one),
  );
  return (
    <section aria-labelledby="runs">
      <div class="head">
        <h2 id="runs">Runs</h2>
        <div class="tools">
          <Choice<Kind>
            label="Kind of run"
            value={kind}
            onChange={setKind}
            options={[
              ["all", "All", runs.length],
              ...(["sync", "verify", "follow"] as const).map(
                (one) => [one, one, number((run) => run.kind === one)] as const,
              ),
            ]}
          />
          {outcomesThere.length > 1 && (
            <Choice<Outcome>
              label="Outcome"
              value={outcome}
              onChange={setOutcome}
              options={[
                ["all", "Any outcome"],
                ...outcomesThere.map(
                  (one) => [one, outcomes[one][1].toLowerCase(), number((run) => run.outcome === one)] as const,
                ),
              ]}
            />
          )}
          <Search label="Search runs" value={search} onChange={setSearch} />
        </div>
      </div>
      {fitting.length === 0 ? (
        <Empty>{runs.length === 0 ? "No run in this time." : "No run matches."}</Empty>
      ) : (
        <RunTable runs={fitting.slice(0, most)} name={name} />
      )}
      {fitting.length > most && (
        <button type="button" onClick={() => setMost(most + 200)}>
          Show more of {counted(fitting.length, "run")}
        </button>
      )}
    </section>
  );
}

function RunTable({ runs, name }: { readonly runs: readonly Run[]; readonly name: string }) {
  return (
    <table class="grid stacked runs" aria-labelledby="runs">
      <thead>
        <tr>
          <th>Began</th>
          <th>Kind</th>
          <th>Started by</th>
          <th>Outcome</th>
          <th class="number">Time</th>
          <th class="number">Tables whole</th>
          <th class="number">Read</th>
          <th class="number">Inserted</th>
          <th class="number">Updated</th>
          <th class="number">Deleted</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td class="title-cell">
              <a href={href({ screen: "run", name, id: run.id })}>
                <At at={run.started} />
              </a>
            </td>
            <td data-label="Kind">{run.kind}</td>
            <td data-label="Started by">{run.trigger}</td>
            <td data-label="Outcome">
              <Outcome run={run} />
            </td>
            <td data-label="Time" class="number">
              {run.outcome === "running" ? "–" : duration(run.milliseconds)}
            </td>
            <td data-label="Tables whole" class="number">
              {run.tables.whole} of {run.tables.whole + run.tables.failed + run.tables.stopped}
            </td>
            <td data-label="Read" class="number">
              {count(run.rowsRead)}
              <div class="faint small">{size(run.bytesRead)}</div>
            </td>
            <td data-label="Inserted" class="number">
              {count(run.inserted)}
            </td>
            <td data-label="Updated" class="number">
              {count(run.updated)}
            </td>
            <td data-label="Deleted" class="number">
              {count(run.deleted)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How a run ended: its verdict, if it has one. */
export function Outcome({ run }: { readonly run: Run }) {
  const [tone, word] = outcomes[run.outcome];
  return (
    <>
      {run.verdict === null ? (
        <Badge tone={tone}>{word}</Badge>
      ) : (
        <Badge tone={verdicts[run.verdict]}>{run.verdict}</Badge>
      )}
      {run.error !== null && (
        <div class="small">
          <code class="code">{run.error.code}</code>
        </div>
      )}
    </>
  );
}
