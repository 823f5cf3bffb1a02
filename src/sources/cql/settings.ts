import { pemOf, type TlsFiles, tlsOptions } from "../../net/tls.ts";
import type { ClusterOptions } from "../../wire/cql/cluster.ts";
import type { Consistency } from "../../wire/cql/messages.ts";
import type { ChangeMode, SharedConfiguration } from "./config.ts";

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

/** What the sources read with. Throws `CONFIGURATION_INVALID` where a file can't be read. */
export function cqlSettings(
  shared: SharedConfiguration,
  where: Pick<ClusterOptions, "contactPoints" | "dataCenter" | "names">,
  intervalHours: number | null,
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
    pageSize: shared.page_size,
    cursorColumn: shared.cursor_column,
    changes: (table) => (typeof changes === "string" ? changes : (changes[table] ?? changes["*"] ?? "cursor")),
    allowFiltering: shared.allow_filtering,
    intervalHours,
    lag: shared.lag,
    views: shared.views,
  };
}

function tlsFiles({ ca_file, cert_file, key_file }: SharedConfiguration): TlsFiles {
  return {
    ca: pemOf("ca_file", ca_file),
    certificate: pemOf("cert_file", cert_file),
    key: pemOf("key_file", key_file),
  };
}
