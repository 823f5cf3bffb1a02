import { z } from "zod";
import { sslModes } from "../../wire/postgres/ssl.ts";
import { parseBytes } from "../../toolkit/quantities.ts";
import { blankIsAbsent, byTable, choice, ofTable, optionalText, text, whole } from "../../toolkit/settings.ts";

/** Not trimmed: spaces at the ends of a name are part of it. */
const name = z.string().min(1, { error: "must not be empty" });

/** As the server takes it. */
const slotName = z.preprocess(
  blankIsAbsent,
  z
    .string()
    .regex(/^[a-z0-9_]{1,63}$/, { error: "must be at most 63 small letters, digits and underscores" })
    .optional(),
);

const bytes = z.preprocess(
  blankIsAbsent,
  z
    .string()
    .refine((size) => (parseBytes(size) ?? 0) > 0, { error: "must be a size with its unit: 512MB, 10GB" })
    .optional(),
);

export function portSetting(usual: number, description: string) {
  return whole(1, 65_535).default(usual).meta({ title: "Port", description });
}

/** The settings of a connection to PostgreSQL, under the names of the published example of YugabyteDB. */
export const configuration = z
  .strictObject({
    host: text.meta({ title: "Host", description: "Name or address of a server." }),
    port: portSetting(5432, "The server's port. YSQL of YugabyteDB uses 5433."),
    database: name.meta({ title: "Database", description: "Name of the database to read." }),
    user: name.meta({ title: "User", description: "A role that may SELECT from the tables." }),
    password: z.string().meta({ title: "Password", description: "Password of the user.", secret: true }),
    schema: z
      .preprocess(blankIsAbsent, name.optional())
      .default("public")
      .meta({ title: "Schema", description: "The schema whose tables are read." }),
    sslmode: choice(sslModes).default("prefer").meta({
      title: "TLS mode",
      description:
        "TLS as in libpq: disable, allow and prefer (TLS if the server has it), require (encrypts; verifies only with sslrootcert), verify-ca, verify-full.",
    }),
    sslrootcert: optionalText.meta({
      title: "Root certificate",
      description: 'The authority that signed the server\'s certificate: a PEM file, its text, or "system".',
      path: "existing",
    }),
    sslcert: optionalText.meta({
      title: "Client certificate",
      description: "The client's certificate: a PEM file, or its text.",
      path: "existing",
    }),
    sslkey: optionalText.meta({
      title: "Client key",
      description: "The client's private key: a PEM file, or its text.",
      secret: true,
      path: "existing",
    }),
    connect_timeout: whole(1, 3600)
      .default(15)
      .meta({ title: "Connect timeout", description: "Seconds to wait for a connection." }),
    statement_timeout: whole(0, 86_400).meta({
      title: "Statement timeout",
      description:
        "Seconds that one statement may take. 0: no limit. Absent: the setting of the role at the server. A read that takes longer is cut in halves.",
    }),
    read_timeout: whole(1, 86_400).default(60).meta({
      title: "Read timeout",
      description:
        "Seconds that the server may be silent while an answer is due. Then a second session checks whether the server still works on it. If it does, the query may take as long as it needs.",
    }),
    lag: whole(0, 86_400).default(60).meta({
      title: "Lag",
      description:
        "Seconds by which each window overlaps the one before. A row that is committed later than this after its updated_at is only found by a sweep.",
    }),
    changes: byTable(["cursor", "stream"]).default("cursor").meta({
      title: "Changes",
      description:
        "How changes are found: cursor (by the cursor column and sweeps), or stream (from the server's log, by logical replication; that of YugabyteDB is read by headwaters follow only). Or by table, with * for the others: { orders: stream, '*': cursor }.",
    }),
    slot: slotName.meta({
      title: "Replication slot",
      description:
        "With changes: stream: the slot that keeps the log until the copy has it. It is created if it does not exist. Each copy needs its own slot. Absent: headwaters_<database>_<schema>.",
    }),
    publication: z.preprocess(blankIsAbsent, name.optional()).meta({
      title: "Publication",
      description:
        "With changes: stream: the publication of the tables. It is created if it does not exist, and tables are added to it. Absent: the name of the slot.",
    }),
    max_retained: bytes.default("10GB").meta({
      title: "Log retained",
      description:
        "With changes: stream: the most log that a sync leaves at the source for tables that fail, such as 10GB. If there is more, these tables are read whole again.",
    }),
    read: choice(["copy", "cursor"]).default("copy").meta({
      title: "Way of reading",
      description: "copy: binary COPY, which is fast. cursor: server-side cursors with text results.",
    }),
    itersize: whole(1, 1_000_000)
      .default(2000)
      .meta({
        when: { setting: "read", is: "cursor" },
        title: "Cursor fetch size",
        description: "The most rows in one FETCH of a cursor.",
      }),
  })
  .meta({ title: "PostgreSQL", description: "PostgreSQL 11 or later, or YugabyteDB (YSQL)." });

/** What turns the log into messages. Of YugabyteDB's own, `yboutput`, the messages are those of `pgoutput`. */
export type OutputPlugin = "pgoutput" | "yboutput";

/** `plugin`: a setting of YugabyteDB. */
export type Configuration = z.output<typeof configuration> & { readonly plugin?: OutputPlugin };

/** Whether the changes of a table, or of any table, are to be read from the log. */
export function follows({ changes }: Pick<Configuration, "changes">, table: string | null): boolean {
  if (table !== null) return ofTable(changes, table) === "stream";
  return changes === "stream" || (typeof changes !== "string" && Object.values(changes).includes("stream"));
}
