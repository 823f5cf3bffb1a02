import { quoted } from "../../../wire/cql/errors.ts";
import type { Cluster, Routing } from "../../../wire/cql/cluster.ts";
import { textValue } from "../../../wire/cql/control-rows.ts";
import { CqlServerError, serverErrors } from "../../../wire/cql/server-error.ts";
import type { CqlTable } from "../catalog.ts";

/** The suffix of a log's name, after the name of its table. */
const suffix = "_scylla_cdc_log";

/** The log of a table, as ScyllaDB describes it. */
export interface CdcLog {
  /** How long entries stay, in milliseconds. */
  readonly keeps: number;
  /** When the options were written. If they have changed since, the log has a gap. */
  readonly written: string;
}

export function isLog(name: string): boolean {
  return name.endsWith(suffix);
}

export function logName({ keyspace, name }: Pick<CqlTable, "keyspace" | "name">): string {
  return `${quoted(keyspace)}.${quoted(`${name}${suffix}`)}`;
}

/** The statement that turns a table's log on. */
export function enabling({ keyspace, name }: Pick<CqlTable, "keyspace" | "name">): string {
  return `ALTER TABLE ${quoted(keyspace)}.${quoted(name)} WITH cdc = {'enabled': true};`;
}

/** The logs of a keyspace by table name; with `table`, only of this table. A log that is turned off is not included. */
export async function readLogs(
  cluster: Cluster,
  keyspace: string,
  table: string | null,
  routing: Routing,
): Promise<ReadonlyMap<string, CdcLog>> {
  const { scylla } = await cluster.topology(routing.signal);
  if (!scylla) return new Map();
  const values = [keyspace, ...(table === null ? [] : [table])].map((text) => Buffer.from(text));
  try {
    const rows = await cluster.rows(
      `SELECT table_name, cdc, WRITETIME(cdc) AS written FROM system_schema.scylla_tables WHERE keyspace_name = ?${table === null ? "" : " AND table_name = ?"}`,
      values,
      routing,
    );
    return new Map(
      rows.flatMap((row): [string, CdcLog][] => {
        const options = (row["cdc"] ?? {}) as Readonly<Record<string, string>>;
        if (options["enabled"] !== "true") return [];
        const seconds = Number(options["ttl"] ?? 86_400);
        const keeps = seconds === 0 ? Infinity : seconds * 1_000;
        return [[textValue(row["table_name"])!, { keeps, written: textValue(row["written"]) ?? "" }]];
      }),
    );
  } catch (thrown) {
    // Releases before logs have no such column.
    if (thrown instanceof CqlServerError && thrown.code === serverErrors.invalid) return new Map();
    throw thrown;
  }
}
