import { readFile } from "node:fs/promises";
import { type ConnectionOptions, createSecureContext, type SecureContext } from "node:tls";
import { HeadwatersError } from "../../protocol/errors.ts";
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
export async function cqlSettings(
  shared: SharedConfiguration,
  where: Pick<ClusterOptions, "contactPoints" | "dataCenter" | "names">,
  intervalHours: number | null,
): Promise<CqlSettings> {
  const { changes } = shared;
  return {
    cluster: {
      ...where,
      port: shared.port,
      tls: await tlsOptions(shared),
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

async function tlsOptions(shared: SharedConfiguration): Promise<ConnectionOptions | null> {
  if (!shared.tls) return null;
  const file = async (name: "ca_file" | "cert_file" | "key_file"): Promise<string | null> => {
    const path = shared[name];
    if (path === undefined) return null;
    try {
      return await readFile(path, "utf8");
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      throw new HeadwatersError("CONFIGURATION_INVALID", `${name}: the file can't be read: ${reason}`, {
        hint: `Check ${name}: it names a file in PEM.`,
        cause: thrown,
      });
    }
  };
  const [ca, cert, key] = [await file("ca_file"), await file("cert_file"), await file("key_file")];
  return {
    // Node.js verifies unless told otherwise, the vendor's driver only if told so.
    rejectUnauthorized: true,
    secureContext: secureContext(ca, cert, key),
    ...(shared.verify_hostname ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** Made before a connection is opened, since what is wrong with the files is no matter of any server. */
function secureContext(ca: string | null, cert: string | null, key: string | null): SecureContext {
  const invalid = (message: string, hint: string, cause?: unknown): HeadwatersError =>
    new HeadwatersError("CONFIGURATION_INVALID", message, { hint, cause });
  if ((cert === null) !== (key === null)) {
    const [set, missing] = cert === null ? ["key_file", "cert_file"] : ["cert_file", "key_file"];
    throw invalid(`${set}: it is set, and ${missing} is not`, "Set both cert_file and key_file, or neither.");
  }
  if (ca !== null && !/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(ca)) {
    throw invalid("ca_file: it holds no certificate", "Check ca_file: it names a file in PEM.");
  }
  try {
    return createSecureContext({
      ...(ca === null ? {} : { ca }),
      ...(cert === null ? {} : { cert }),
      ...(key === null ? {} : { key }),
    });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw invalid(
      `${cert === null ? "ca_file" : "cert_file, key_file"}: the files can't be used: ${reason}`,
      "Check that they are in PEM, and that key_file is the private key, without a passphrase, of cert_file.",
      thrown,
    );
  }
}
