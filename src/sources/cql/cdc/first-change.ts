import type { Cluster, Routing } from "../../../wire/cql/cluster.ts";
import type { Consistency, Page } from "../../../wire/cql/messages.ts";
import { BodyReader } from "../../../wire/cql/body-reader.ts";
import type { CqlTable } from "../catalog.ts";
import type { StreamGroup } from "./generations.ts";
import { momentOfUuid } from "./hints.ts";
import { logName } from "./logs.ts";
import { betweenMoments, boundsOf, tokenOf } from "./read-log.ts";

/** Groups of streams that are asked at the same time. */
const atOnce = 8;

/** When the first entry of a range of a log was written, in milliseconds since 1970; `null`: there is none. */
export async function firstChange(
  cluster: Cluster,
  native: CqlTable,
  part: { readonly streams: readonly StreamGroup[]; readonly from: number; readonly to: number },
  consistency: Consistency,
  routing: Routing,
): Promise<number | null> {
  const statement = `SELECT "cdc$time" FROM ${logName(native)} WHERE "cdc$stream_id" IN ? AND ${betweenMoments} PER PARTITION LIMIT 1`;
  const left = [...part.streams];
  let first: number | null = null;
  const ask = async (): Promise<void> => {
    for (let streams = left.shift(); streams !== undefined; streams = left.shift()) {
      const query = { consistency, values: boundsOf(streams, part) };
      const page = await cluster.page(statement, query, { ...routing, token: tokenOf(streams) });
      for (const at of momentsOf(page)) first = Math.min(at, first ?? at);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, ask));
  return first;
}

function momentsOf({ body, start, rows }: Page): number[] {
  const reader = new BodyReader(body, start);
  return Array.from({ length: rows }, () => momentOfUuid(reader.bytes()!));
}
