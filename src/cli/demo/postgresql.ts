import { Client } from "pg";
import { HeadwatersError } from "../../protocol/errors.ts";
import { counted } from "../../toolkit/figures.ts";
import type { Session } from "../session.ts";
import { changes, createStatements, rowCounts } from "./dataset.ts";
import { launchPostgresql, type LocalPostgresql } from "../../servers/postgresql.ts";
import type { Scenario, ScenarioOptions } from "./scenario.ts";

/** Starts an industrial IoT system in its own PostgreSQL server. */
export async function startIndustry(
  { signal }: Session,
  { server: named }: ScenarioOptions,
  type: "postgresql" | "yugabytedb",
): Promise<Scenario> {
  if (named !== null) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `--server: the demo of ${type} starts its own server`, {
      hint: "Leave --server out; to copy a database of yours, run: headwaters init",
    });
  }
  const server = await launchPostgresql({ signal });
  const { host, port, user, password } = server;
  return {
    where: `It listens on ${host}:${port}, in ${server.folder}, and goes when the demo ends.`,
    source: { type, host, port, database: "postgres", user, password, sslmode: "disable" },
    rows: Object.values(rowCounts).reduce((sum, rows) => sum + rows, 0),
    changes,
    query: `SELECT d.site, count(*) AS readings, round(avg(r.temperature), 2) AS celsius, max(r.pressure) AS pressure,
       count(*) FILTER (r.status <> 'ok') AS unusual
FROM public.sensor_readings r JOIN public.devices d USING (device_id)
WHERE NOT r._headwaters_deleted
GROUP BY ALL ORDER BY d.site`,
    async fill(signal) {
      await execute(server, createStatements, signal);
      const tables = Object.entries(rowCounts).map(([table, rows]) => `${table} ${counted(rows, "row")}`);
      return tables.join(", ");
    },
    change: (signal) =>
      execute(
        server,
        changes.map(({ statement }) => statement),
        signal,
      ),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Runs statements, each in its own transaction. Resolves to the number of rows that each one changed. */
async function execute(server: LocalPostgresql, statements: readonly string[], signal: AbortSignal): Promise<number[]> {
  const client = new Client({ connectionString: server.connectionString() });
  const stop = (): void => void client.end();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await client.connect();
    const rows: number[] = [];
    for (const statement of statements) rows.push((await client.query(statement)).rowCount ?? 0);
    return rows;
  } finally {
    signal.removeEventListener("abort", stop);
    await client.end();
  }
}
