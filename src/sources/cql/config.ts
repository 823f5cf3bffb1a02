import { z } from "zod";
import { byTable, choice, flag, optionalPassword, optionalText, text, whole } from "../../toolkit/settings.ts";
import { consistencies, type Consistency } from "../../wire/cql/messages.ts";

/**
 * How changes of a table are detected: by a cursor column, by the write times of its cells, by reading it whole, or by the log
 * that ScyllaDB keeps of them.
 */
const everyModes = ["cursor", "writetime", "full"] as const;
export type ChangeMode = (typeof everyModes)[number] | "stream";

const levels = Object.keys(consistencies) as [Consistency, ...Consistency[]];

/** `changes` where there is no log that CQL can read. */
export const changesByTable = byTable(everyModes, {
  stream: "Cassandra has its change log in files on its nodes, which can't be read by CQL",
});

/** `changes` of ScyllaDB. */
export const changesByLog = byTable([...everyModes, "stream"]);

type Changes = z.ZodType<ChangeMode | Readonly<Record<string, ChangeMode>> | undefined>;

/** The settings that both sources have, besides the address of the cluster. */
export function sharedSettings(cursorColumn: string, changes: Changes, onStream = "") {
  return {
    port: whole(1, 65_535).default(9042).meta({ title: "Port", description: "The CQL port of every node." }),
    username: optionalText.meta({
      title: "User",
      description: "A role that may SELECT from the tables. Absent: no login.",
    }),
    password: optionalPassword.meta({
      title: "Password",
      description: "Password of the user.",
      secret: true,
    }),
    keyspace: text.meta({ title: "Keyspace", description: "The keyspace whose tables are read." }),
    tls: flag
      .default(false)
      .meta({ title: "TLS", description: "Whether to connect with TLS, and verify the server's certificate." }),
    ca_file: optionalText.meta({
      when: { setting: "tls", is: true },
      title: "Certificate authority",
      description:
        "PEM file of the authority that signed the servers' certificates. Absent: the authorities that Node.js trusts.",
      path: true,
    }),
    cert_file: optionalText.meta({
      when: { setting: "tls", is: true },
      title: "Client certificate",
      description: "PEM file of the client's certificate, if the server asks for one.",
      path: true,
    }),
    key_file: optionalText.meta({
      when: { setting: "tls", is: true },
      title: "Client key",
      description: "PEM file of the private key of cert_file.",
      path: true,
    }),
    verify_hostname: flag.default(true).meta({
      when: { setting: "tls", is: true },
      title: "Verify host names",
      description: "Whether a certificate must have the name of its node.",
    }),
    consistency: choice(levels, "in any case").default("LOCAL_QUORUM").meta({
      title: "Consistency",
      description:
        "How many replicas answer a read. Below a quorum (ONE, TWO, THREE, LOCAL_ONE), sweeps and second full reads are refused, so deletes are not found.",
    }),
    lookup_consistency: choice(levels, "in any case").default("LOCAL_QUORUM").meta({
      title: "Consistency of look-ups",
      description:
        "How many replicas answer when a sweep looks up a new or changed row. Rows that would be deleted are always looked up at ALL, or at the strongest level that the cluster allows. Such a look-up reads every replica.",
    }),
    page_size: whole(1, 100_000).default(20_000).meta({
      title: "Page size",
      description: "The most rows in a page. Pages are smaller if rows are long.",
    }),
    cursor_column: optionalText.default(cursorColumn).meta({
      title: "Cursor column",
      description: "The name of the column that shows when a row changed.",
    }),
    changes: changes.default("cursor").meta({
      title: "Changes",
      description: `How changes are found: cursor (by the cursor column; tables without it are read whole), writetime (by the write times of all cells), full (each sync reads the whole table)${onStream}. Or by table, with * for the others: { orders: writetime, '*': cursor }.`,
    }),
    allow_filtering: flag.default(false).meta({
      title: "Allow filtering",
      description:
        "Whether windows without an index use ALLOW FILTERING: the server reads the whole table, and sends only new rows. Otherwise a sweep compares all keys.",
    }),
    lag: whole(0, 86_400).default(60).meta({
      title: "Lag",
      description: "Seconds by which each window overlaps the one before, for rows that are written late.",
    }),
    views: flag.default(false).meta({
      title: "Materialized views",
      description: "Whether to sync materialized views too. They have no data that their tables do not have.",
    }),
    connect_timeout: whole(1, 3_600).default(10).meta({
      title: "Connect timeout",
      description: "Seconds to wait for a connection and a login.",
    }),
    request_timeout: whole(1, 3_600).default(30).meta({
      title: "Request timeout",
      description: "Seconds to wait for an answer. A range that takes longer is cut in halves.",
    }),
    connections_per_node: whole(1, 32).default(2).meta({
      title: "Connections",
      description: "Connections to each node. ScyllaDB: one for each shard, up to 16.",
    }),
  };
}

export type SharedConfiguration = z.output<z.ZodObject<ReturnType<typeof sharedSettings>>>;

/** Several hosts in one text, such as `10.0.0.1, 10.0.0.2`. */
export function hostList(value: string): string[] {
  return value
    .split(",")
    .map((host) => host.trim())
    .filter((host) => host !== "");
}
