import { readFileSync } from "node:fs";
import type { Datum, DatumObject } from "./datum.ts";

/** A line of `wire.jsonl`, as its first line explains. */
export interface Line {
  readonly seq: number;
  readonly kind: "meta" | "section" | "handshake" | "pair" | "pair-raw" | "event";
  readonly scenario: string;
  readonly conn?: number | null;
  readonly token?: number;
  readonly query?: readonly [number, unknown?, Record<string, Datum>?];
  readonly query_raw?: string;
  readonly response?: Response;
  readonly response_raw?: string;
  readonly r_truncated_to?: number;
  readonly rows_in_response?: number;
  readonly dir?: "send" | "recv" | "event";
  readonly user?: string;
  readonly message?: Record<string, unknown>;
  readonly raw?: string;
}

export interface Response {
  readonly t: number;
  readonly e?: number;
  readonly r: readonly Datum[];
  readonly b?: readonly (number | string)[];
  readonly n?: readonly number[];
}

/** A recording of a real server of the 2.4 line. */
export const recording: readonly Line[] = readFileSync(new URL("wire.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Line);

function pair(seq: number): Line {
  return recording.find((line) => line.seq === seq)!;
}

/** The rows of an answer, whether they came as a stream or as one array. */
function rowsIn({ response }: Line): readonly Datum[] {
  const { t, r } = response!;
  return t === 1 && Array.isArray(r[0]) ? (r[0] as readonly Datum[]) : r;
}

/** The tables that the recorded server held, as far as its answers show them. */
export function recordedTables(): Readonly<Record<string, readonly DatumObject[]>> {
  const tasks = Array.from({ length: 50 }, (_, index) => ({
    id: [index % 5, "task", index],
    done: false,
    ...(index % 10 === 0
      ? {}
      : { updated_at: { $reql_type$: "TIME", epoch_time: 1_600_000_000 + Math.floor(index / 3), timezone: "+00:00" } }),
  }));
  return {
    USERS: rowsIn(pair(144)) as readonly DatumObject[],
    PROJECTS: Array.from({ length: 8 }, (_, index) => ({ project_id: `p${index}` })),
    tasks,
    COMMENTS: rowsIn(pair(109)) as readonly DatumObject[],
    mixed: rowsIn(pair(107)) as readonly DatumObject[],
    activity_log: rowsIn(pair(361)) as readonly DatumObject[],
    cursor200: Array.from({ length: 200 }, (_, id) => ({ id, pad: "x" })),
    empty_table: [],
  };
}
