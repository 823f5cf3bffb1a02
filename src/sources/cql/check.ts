import type { CheckResult } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { failedCheck, isLoopback } from "../../toolkit/checks.ts";
import type { Cluster } from "../../wire/cql/cluster.ts";
import { quoted } from "../../wire/cql/errors.ts";
import { Generations } from "./cdc/generations.ts";
import { enabling } from "./cdc/logs.ts";
import { checkRights } from "./check-rights.ts";
import { type CqlSettings, quorums } from "./settings.ts";

/** Checks one thing after the other, and stops at the first failure that prevents all further checks. */
export async function* checkSource(
  cluster: Cluster,
  settings: CqlSettings,
  discover: () => Promise<readonly Table[]>,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  const { contactPoints, port, username, tls } = settings.cluster;
  const connected = await tried(
    "connect",
    `Connect to ${contactPoints.join(", ")}, port ${port}${username === null ? "" : `, as ${username}`}`,
    async () => {
      const { clusterName, version, scylla, dataCenter, dataCenters, nodes } = await cluster.refresh(signal);
      const where = `data centre ${dataCenter} with ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`;
      const others = dataCenters.length > 1 ? `, of ${dataCenters.length}` : "";
      return `${scylla ? "ScyllaDB (as Cassandra " : "Cassandra "}${version}${scylla ? ")" : ""}, cluster "${clusterName}", ${where}${others}.`;
    },
    cluster,
  );
  yield connected;
  if (connected.status === "failed") return;
  if (tls === null && username !== null && !contactPoints.every(isLoopback)) {
    const message = "The password and all rows cross the network unencrypted: set tls to true.";
    yield { name: "tls", label: "Encryption", status: "warning", message };
  }
  yield consistencyCheck(settings);
  let tables: readonly Table[] = [];
  const discovered = await tried(
    "keyspace",
    `Tables of keyspace ${quoted(settings.keyspace)}`,
    async () => {
      tables = await discover();
      return tables.length === 1 ? "There is one table." : `There are ${tables.length} tables.`;
    },
    cluster,
  );
  yield discovered;
  if (discovered.status === "failed") return;
  yield* checkRights(cluster, username, signal);
  // Whether a table that is refused matters is seen from the selection.
  const described = tables.filter(({ refused }) => refused === undefined);
  yield* privilegeChecks(cluster, settings, described, signal);
  if (settings.mayStream) yield await logCheck(cluster, settings, described, signal);
  yield costCheck(described);
}

function consistencyCheck({ consistency }: CqlSettings): CheckResult {
  const shared = { name: "consistency", label: `Consistency ${consistency}` };
  if (quorums.has(consistency)) {
    return {
      ...shared,
      status: "ok",
      message:
        "Rows that a quorum acknowledged are seen; deletes are confirmed at ALL, or at the strongest level that the cluster allows.",
    };
  }
  const message = `A read at ${consistency} may miss rows: only first full reads and windows are made, deletes are not found. LOCAL_QUORUM finds them.`;
  return { ...shared, status: "warning", message };
}

async function* privilegeChecks(
  cluster: Cluster,
  settings: CqlSettings,
  tables: readonly Table[],
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  let readable = 0;
  for (const table of tables) {
    const statement = `SELECT ${quoted(table.key[0]!)} FROM ${quoted(settings.keyspace)}.${quoted(table.id)} LIMIT 1`;
    try {
      await cluster.page(statement, { consistency: settings.consistency }, { signal, table: table.id });
      readable += 1;
    } catch (thrown) {
      signal.throwIfAborted();
      yield failedCheck("privileges", `Read table ${table.id}`, cluster.explain(thrown, table.id));
    }
  }
  if (readable < tables.length) return;
  const message = `All ${tables.length} tables can be read.`;
  yield { name: "privileges", label: "Read every table", status: "ok", message };
}

/** Reports which tables have a log, and how the others get one. */
async function logCheck(
  cluster: Cluster,
  settings: CqlSettings,
  tables: readonly Table[],
  signal: AbortSignal,
): Promise<CheckResult> {
  const shared = { name: "stream", label: "CDC logs" };
  const { keyspace } = settings;
  const asked = tables.filter(({ id }) => settings.changes(id) === "stream");
  const having = asked.filter(({ streamed }) => streamed === true);
  const without = asked.filter(({ streamed }) => streamed !== true);
  const [first] = having;
  try {
    if (first !== undefined) await new Generations(cluster).all({ keyspace, name: first.id }, { signal });
  } catch (thrown) {
    signal.throwIfAborted();
    return failedCheck(shared.name, shared.label, cluster.explain(thrown, first?.id));
  }
  const named = (some: readonly Table[]): string => some.map(({ id }) => id).join(", ") || "none";
  const has = `Read by their logs: ${named(having)}.`;
  if (without.length === 0) return { ...shared, status: "ok", message: has };
  const statement = enabling({ keyspace, name: without[0]!.id });
  const message = `${has} Without a log, so synced as with cursor: ${named(without)}. To turn one on: ${statement}`;
  return { ...shared, status: "warning", message };
}

/** What each sync costs the cluster. */
function costCheck(tables: readonly Table[]): CheckResult {
  const named = (some: readonly Table[]): string => some.map((table) => table.id).join(", ");
  const streamed = tables.filter((table) => table.streamed === true);
  const whole = tables.filter((table) => table.cursor === null && table.version === null);
  const swept = tables.filter((table) => table.cursor === null && table.version !== null && !table.streamed);
  const windows = tables.filter((table) => table.cursor !== null);
  const parts = [
    ...(streamed.length > 0 ? [`by the CDC log: ${named(streamed)}`] : []),
    ...(windows.length > 0 ? [`by index or filter: ${named(windows)}`] : []),
    ...(swept.length > 0 ? [`by a sweep over all keys: ${named(swept)}`] : []),
    ...(whole.length > 0 ? [`by reading the whole table: ${named(whole)}`] : []),
  ];
  const label = "How changes are found";
  if (parts.length === 0) return { name: "cost", label, status: "ok", message: "There are no tables." };
  return { name: "cost", label, status: whole.length > 0 ? "warning" : "ok", message: `${parts.join("; ")}.` };
}

async function tried(name: string, label: string, look: () => Promise<string>, cluster: Cluster): Promise<CheckResult> {
  try {
    return { name, label, status: "ok", message: await look() };
  } catch (thrown) {
    return failedCheck(name, label, cluster.explain(thrown));
  }
}
