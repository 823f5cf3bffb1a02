import type { ClusterOptions } from "../../wire/cql/cluster.ts";
import type { Consistency } from "../../wire/cql/messages.ts";

/**
 * How changes of a table are seen: by a cursor column, by the write times of its cells, or by reading it whole.
 */
export const changeModes = ["cursor", "writetime", "full"] as const;
type ChangeMode = (typeof changeModes)[number];

/** What both sources make of their configurations. */
export interface CqlSettings {
  readonly cluster: ClusterOptions;
  readonly keyspace: string;
  readonly consistency: Consistency;
  /** The most rows that one page asks for. */
  readonly pageSize: number;
  /** The cursor column where a table has one of that name. */
  readonly cursorColumn: string;
  changes(table: string): ChangeMode;
  /** Windows are read by ALLOW FILTERING where no index serves the cursor column. */
  readonly allowFiltering: boolean;
  /** Windows are cut into parts of so many hours; `null`: they are not. */
  readonly intervalHours: number | null;
  /** By how many seconds each window overlaps the one before. */
  readonly lag: number;
  /** Materialized views are read too. */
  readonly views: boolean;
}

/** Below these a read may miss what a quorum has acknowledged: nothing may be deleted by it. */
export const quorums: ReadonlySet<Consistency> = new Set(["QUORUM", "LOCAL_QUORUM", "ALL"]);
