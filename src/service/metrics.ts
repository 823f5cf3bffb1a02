import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { connectionState, type Run, runOutcome, verdict } from "./api.ts";
import type { NumberedEvent } from "./event-log.ts";
import type { Service } from "./service.ts";

/** A sync may take seconds, or most of a day. */
const durations = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];

/** What the service can be watched by. Labels are names of connections, and words of which there are few. */
export function serviceMetrics(service: Service): () => Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const runs = new Counter({
    name: "headwaters_runs_total",
    help: "Runs that are over.",
    labelNames: ["connection", "kind", "outcome", "code"],
    registers,
  });
  const rows = new Counter({
    name: "headwaters_rows_total",
    help: "Rows that were read from the source, and those of the copies that were changed.",
    labelNames: ["connection", "operation"],
    registers,
  });
  const bytes = new Counter({
    name: "headwaters_read_bytes_total",
    help: "Bytes of the rows that were read from the source.",
    labelNames: ["connection"],
    registers,
  });
  const took = new Histogram({
    name: "headwaters_run_duration_seconds",
    help: "How long runs took.",
    labelNames: ["connection", "kind"],
    buckets: durations,
    registers,
  });
  const ended = (run: Run): void => {
    const { connection, kind, outcome } = run;
    runs.inc({ connection, kind, outcome, code: run.error?.code ?? "" });
    took.observe({ connection, kind }, run.milliseconds / 1_000);
    bytes.inc({ connection }, run.bytesRead);
    const counted = { read: run.rowsRead, inserted: run.inserted, updated: run.updated, deleted: run.deleted };
    for (const [operation, count] of Object.entries(counted)) rows.inc({ connection, operation }, Math.max(0, count));
  };
  service.events.read(({ event }: NumberedEvent) => {
    if (event.kind === "run" && event.run.outcome !== "running") ended(event.run);
    if (event.kind !== "removed") return;
    for (const metric of [runs, rows, bytes, took]) forget(metric, event.connection);
  });
  return async () => {
    const now = new Registry();
    standings(service, now);
    return `${await registry.metrics()}\n${await now.metrics()}`;
  };
}

/** The series of a connection that is no longer there. */
function forget(
  metric: { get(): Promise<{ values: { labels: object }[] }>; remove(labels: object): void },
  name: string,
): void {
  void metric.get().then(({ values }) => {
    for (const { labels } of values) if ("connection" in labels && labels.connection === name) metric.remove(labels);
  });
}

/** The gauges of every connection, as it stands now. */
function standings(service: Service, registry: Registry): void {
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge =>
    new Gauge({ name: `headwaters_${name}`, help, labelNames: ["connection", ...labelNames], registers: [registry] });
  const asOf = gauge("copy_as_of_timestamp_seconds", "The read point of the oldest copy.");
  const limit = gauge("copy_freshness_limit_seconds", "How old a copy may be.");
  const rows = gauge("copy_rows", "Rows of the copies that are not deleted.");
  const tables = gauge("tables", "Tables that are copied.");
  const held = gauge("held_deletes", "Deletes that are held back by the delete limit.");
  const failures = gauge("consecutive_failures", "Syncs that failed since the last one that succeeded.");
  const state = gauge("connection_state", "1 for the state that a connection is in.", "state");
  const proof = gauge("last_proof", "1 for the verdict of the last verify.", "verdict");
  const proven = gauge("last_proof_timestamp_seconds", "When the last verify ended.");
  const last = gauge("last_run_timestamp_seconds", "When the last sync ended.", "outcome");
  const next = gauge("next_run_timestamp_seconds", "When the next run is due.", "kind");
  for (const connection of service.connections()) {
    const { name } = connection;
    const set = (gauge: Gauge, value: number | null, labels: object = {}): void => {
      if (value !== null) gauge.set({ connection: name, ...labels }, value);
    };
    set(asOf, seconds(connection.asOf));
    set(limit, connection.freshness === null ? null : connection.freshness / 1_000);
    set(rows, connection.rows);
    set(tables, connection.tables);
    set(
      held,
      connection.held.reduce((sum, { gone }) => sum + gone, 0),
    );
    set(failures, connection.failures);
    for (const word of connectionState.options) set(state, word === connection.state ? 1 : 0, { state: word });
    const { lastProof, lastRun } = connection;
    if (lastProof !== null) {
      for (const word of verdict.options) set(proof, word === lastProof.verdict ? 1 : 0, { verdict: word });
      set(proven, seconds(lastProof.ended));
    }
    if (lastRun !== null && runOutcome.options.includes(lastRun.outcome))
      set(last, seconds(lastRun.ended), { outcome: lastRun.outcome });
    set(next, seconds(connection.nextRun), { kind: "sync" });
    set(next, seconds(connection.nextVerify), { kind: "verify" });
  }
}

function seconds(moment: string | null): number | null {
  return moment === null ? null : Date.parse(moment) / 1_000;
}
