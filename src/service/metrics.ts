import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { connectionState, type Run, runOutcome, verdict } from "./api.ts";
import type { NumberedEvent } from "./event-log.ts";
import type { Service } from "./service.ts";

/** A sync may take seconds, or most of a day. */
const durations = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];

/** The metrics of the service. Labels are names of connections and destinations, or one of a few words. */
export function serviceMetrics(service: Service): () => Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const runs = new Counter({
    name: "headwaters_runs_total",
    help: "Runs that are over.",
    labelNames: ["connection", "kind", "trigger", "outcome", "code"],
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
  /** What was counted of runs that go on: following has no end. */
  const counted = new Map<string, Run>();
  const count = (run: Run): void => {
    const { connection, id } = run;
    const before = counted.get(id);
    const more = (field: "rowsRead" | "bytesRead" | "inserted" | "updated" | "deleted"): number =>
      Math.max(0, run[field] - (before?.[field] ?? 0));
    bytes.inc({ connection }, more("bytesRead"));
    rows.inc({ connection, operation: "read" }, more("rowsRead"));
    for (const operation of ["inserted", "updated", "deleted"] as const)
      rows.inc({ connection, operation }, more(operation));
    counted.set(id, run);
  };
  const ended = (run: Run): void => {
    const { connection, kind, trigger, outcome } = run;
    runs.inc({ connection, kind, trigger, outcome, code: run.error?.code ?? "" });
    took.observe({ connection, kind }, run.milliseconds / 1_000);
    count(run);
    counted.delete(run.id);
  };
  service.events.read(({ event }: NumberedEvent) => {
    if (event.kind === "run" && event.run.outcome !== "running") ended(event.run);
    if (event.kind !== "removed") return;
    for (const metric of [runs, rows, bytes, took]) forget(metric, event.connection);
  });
  return async () => {
    const now = new Registry();
    for (const run of service.followed()) count(run);
    standings(service, now);
    totals(service, now);
    return `${await registry.metrics()}\n${await now.metrics()}`;
  };
}

/** The series of a connection that is no longer there. */
function forget(
  metric: { get(): Promise<{ values: { labels: object }[] }>; remove(labels: object): void },
  name: string,
): void {
  void metric.get().then(({ values }) => {
    for (const { labels } of values) {
      // A histogram has a label of its own for its buckets, and takes it for none of its series.
      const { le: _, ...own } = labels as { readonly le?: unknown; readonly connection?: unknown };
      if (own.connection === name) metric.remove(own);
    }
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
  const lag = gauge("stream_lag_seconds", "The age of the oldest of the last changes when they reached the copy.");
  const retained = gauge("stream_retained_bytes", "The log that the source keeps for a stream that is followed.");
  const most = gauge("stream_retained_limit_bytes", "The size at which the log is dropped and tables are read whole.");
  for (const connection of service.connections()) {
    const { name, stream } = connection;
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
    set(lag, stream?.lag == null ? null : stream.lag / 1_000);
    set(retained, stream?.retainedBytes ?? null);
    set(most, stream?.retainedLimit ?? null);
    set(next, seconds(connection.nextRun), { kind: "sync" });
    set(next, seconds(connection.nextVerify), { kind: "verify" });
  }
}

/** What is not of a connection as it stands: what the service counts, and its processes. */
function totals(service: Service, registry: Registry): void {
  const registers = [registry];
  const retries = new Counter({
    name: "headwaters_table_retries_total",
    help: "Readings of tables that failed and were tried again in the same run.",
    labelNames: ["connection", "code"],
    registers,
  });
  for (const { count, ...labels } of service.retries()) retries.inc(labels, count);
  const memory = new Gauge({
    name: "headwaters_destination_process_resident_memory_bytes",
    help: "Resident memory of the process of a destination, while there is one.",
    labelNames: ["destination"],
    registers,
  });
  for (const [destination, bytes] of service.memory()) memory.set({ destination }, bytes);
}

function seconds(moment: string | null): number | null {
  return moment === null ? null : Date.parse(moment) / 1_000;
}
