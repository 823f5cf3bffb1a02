import { setTimeout as wait } from "node:timers/promises";
import { HeadwatersError } from "../../protocol/errors.ts";

type TextRow = Readonly<Record<string, string | null>>;

/** A second session, besides the one that is waited for. */
interface Beside {
  query(text: string, values: readonly (string | number)[], signal: AbortSignal): Promise<TextRow[]>;
  destroy(): void;
}

/** Identifies a session on its server. Process ids are reused, moments are not. */
export interface Backend {
  readonly processId: number;
  readonly started: string;
}

/** A connection pooler has its own process ids, so the server itself is asked. */
export const backendSql = `pg_catalog.pg_backend_pid() AS backend_pid,
  (SELECT (extract(epoch FROM backend_start) * 1000000)::int8 FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())) AS backend_start`;

const stateSql = `SELECT state, wait_event_type FROM pg_catalog.pg_stat_get_activity($1::int)
  WHERE (extract(epoch FROM backend_start) * 1000000)::int8 = $2::int8`;

const endSql = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_get_activity($1::int)
  WHERE (extract(epoch FROM backend_start) * 1000000)::int8 = $2::int8`;

/** An address may lead to several servers. */
const mostServers = 3;

/** The time between two looks, in milliseconds: bytes that were under way at the first have arrived by the second. */
const between = 300;

/** From a row whose last columns are those of {@link backendSql}. */
export function backendOf(row: readonly (string | null)[] | undefined): Backend | null {
  const [processId, started] = row?.slice(-2) ?? [];
  return processId == null || started == null ? null : { processId: Number(processId), started };
}

/**
 * Why a session will not answer: it has ended, or it waits for its client; in that case it is ended here.
 * `null`: it is working, or its state can't be seen.
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
      // 53300: no free connection, so the server works.
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
      // Its transaction holds locks that the next session would wait for.
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
