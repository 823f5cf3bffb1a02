import { pemOf, type TlsFiles, tlsOptions } from "../../net/tls.ts";
import type { ClusterOptions } from "../../wire/cql/cluster.ts";
import { ofTable } from "../../toolkit/settings.ts";
import type { Consistency } from "../../wire/cql/messages.ts";
import type { ChangeMode, SharedConfiguration } from "./config.ts";

/** The settings of both CQL sources, made from their configurations. */
export interface CqlSettings {
  readonly cluster: ClusterOptions;
  readonly keyspace: string;
  readonly consistency: Consistency;
  /** Of rows that a sweep found new or changed. */
  readonly lookupConsistency: Consistency;
  /** The most rows per page. */
  readonly pageSize: number;
  /** The name of the cursor column, for tables that have such a column. */
  readonly cursorColumn: string;
  changes(table: string): ChangeMode;
  /** Some table may be read by its log. */
  readonly mayStream: boolean;
  /** Windows are read by ALLOW FILTERING if no index serves the cursor column. */
  readonly allowFiltering: boolean;
  /** Windows are cut into parts of this many hours; `null`: windows are not cut. */
  readonly intervalHours: number | null;
  /** Seconds by which each window overlaps the one before. */
  readonly lag: number;
  /** Materialized views are read too. */
  readonly views: boolean;
  readonly stream: StreamSettings;
}

/** How ScyllaDB's logs are read, in milliseconds. */
export interface StreamSettings {
  /** How often a log is looked into. */
  readonly window: number;
  /** How long before now what is read ends. */
  readonly delay: number;
  /** By how much an entry may come late. */
  readonly overlap: number;
}

/** A weaker read may miss what a quorum has acknowledged, so nothing may be deleted because of it. */
export const quorums: ReadonlySet<Consistency> = new Set(["QUORUM", "LOCAL_QUORUM", "ALL"]);

/** Makes the settings. Throws `CONFIGURATION_INVALID` if a file can't be read. */
export function cqlSettings(
  shared: SharedConfiguration,
  where: Pick<ClusterOptions, "contactPoints" | "dataCenter" | "names">,
  intervalHours: number | null,
  stream: StreamSettings = { window: 30_000, delay: 30_000, overlap: 3_600_000 },
): CqlSettings {
  const { changes } = shared;
  return {
    cluster: {
      ...where,
      port: shared.port,
      tls: shared.tls ? tlsOptions(tlsFiles(shared), shared.verify_hostname ? "full" : "chain") : null,
      username: shared.username ?? null,
      password: shared.password ?? null,
      connectTimeout: shared.connect_timeout * 1_000,
      requestTimeout: shared.request_timeout * 1_000,
      connectionsPerNode: shared.connections_per_node,
      keyspace: shared.keyspace,
      consistency: shared.consistency,
    },
    keyspace: shared.keyspace,
    consistency: shared.consistency,
    lookupConsistency: shared.lookup_consistency,
    pageSize: shared.page_size,
    cursorColumn: shared.cursor_column,
    mayStream: (typeof changes === "string" ? [changes] : Object.values(changes)).includes("stream"),
    changes: (table) => ofTable<ChangeMode>(changes, table) ?? "cursor",
    allowFiltering: shared.allow_filtering,
    intervalHours,
    lag: shared.lag,
    views: shared.views,
    stream,
  };
}

function tlsFiles({ ca_file, cert_file, key_file }: SharedConfiguration): TlsFiles {
  return {
    ca: pemOf("ca_file", ca_file),
    certificate: pemOf("cert_file", cert_file),
    key: pemOf("key_file", key_file),
  };
}
