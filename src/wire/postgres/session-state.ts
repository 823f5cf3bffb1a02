import { setTimeout as wait } from "node:timers/promises";
import { HeadwatersError } from "../../protocol/errors.ts";

type TextRow = Readonly<Record<string, string | null>>;

/** A session beside the one that is waited for. */
interface Beside {
  query(text: string, values: readonly (string | number)[], signal: AbortSignal): Promise<TextRow[]>;
  destroy(): void;
}

/** Who a session is on its server. Process ids are used again, moments are not. */
export interface Backend {
  readonly processId: number;
  readonly started: string;
}

/** A pooler between has process ids of its own, so the server itself is asked. */
export const backendSql = `pg_catalog.pg_backend_pid() AS backend_pid,
  (SELECT (extract(epoch FROM backend_start) * 1000000)::int8 FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())) AS backend_start`;

const stateSql = `SELECT state, wait_event_type FROM pg_catalog.pg_stat_get_activity($1::int)
  WHERE (extract(epoch FROM backend_start) * 1000000)::int8 = $2::int8`;

const endSql = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_get_activity($1::int)
  WHERE (extract(epoch FROM backend_start) * 1000000)::int8 = $2::int8`;

/** An address may lead to several servers. */
const mostServers = 3;

/** What was on its way at the first look has arrived by the second, in milliseconds. */
const between = 300;

/** From a row whose last columns are those of {@link backendSql}. */
export function backendOf(row: readonly (string | null)[] | undefined): Backend | null {
  const [processId, started] = row?.slice(-2) ?? [];
  return processId == null || started == null ? null : { processId: Number(processId), started };
}

/**
 * Why no answer will come from a session that is waited for: it ended, or it waits for its client itself; then it is ended.
 * `null`: it works, or it can't be seen what it does.
 */
export async function waitsForUs(
  backend: Backend,
  connect: () => Promise<Beside>,
  signal: AbortSignal,
): Promise<string | null> {
  for (let server = 0; server < mostServers; server++) {
    let connection: Beside;
    try {
      connection = await connect();
    } catch (thrown) {
      // 53300: no free connection, said by a server that works.
      if (thrown instanceof HeadwatersError || !isFull(thrown)) throw thrown;
      return null;
    }
    try {
      const first = await stateOf(connection, backend, signal);
      if (first === "gone") continue;
      if (first === null) return null;
      await wait(between, undefined, { signal });
      const second = await stateOf(connection, backend, signal);
      if (second === "gone") return "the session has ended";
      // Its transaction holds locks, for which the next session would wait.
      if (second !== null) await connection.query(endSql, [backend.processId, backend.started], signal);
      return second;
    } finally {
      connection.destroy();
    }
  }
  return "the session has ended";
}

async function stateOf(connection: Beside, backend: Backend, signal: AbortSignal): Promise<string | null> {
  const [row] = await connection.query(stateSql, [backend.processId, backend.started], signal);
  if (row === undefined) return "gone";
  const { state, wait_event_type: waits } = row;
  if (state == null || state === "disabled") return null;
  if (state === "active" || state === "fastpath function call") {
    return waits === "Client" ? "the server waits for this side" : null;
  }
  return `the session is ${state}`;
}

function isFull(thrown: unknown): boolean {
  return typeof thrown === "object" && thrown !== null && "code" in thrown && thrown.code === "53300";
}
