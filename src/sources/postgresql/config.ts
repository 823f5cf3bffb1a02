import { z } from "zod";
import { sslModes } from "../../wire/postgres/ssl.ts";
import { blankIsAbsent, choice, optionalText, text, whole } from "../../toolkit/settings.ts";

/** Not trimmed: spaces at the ends of a name are part of it. */
const name = z.string().min(1, { error: "must not be empty" });

export function portSetting(usual: number, description: string) {
  return whole(1, 65_535).default(usual).meta({ title: "Port", description });
}

/** The settings of a connection to PostgreSQL, under the names of the published example of YugabyteDB. */
export const configuration = z
  .strictObject({
    host: text.meta({ title: "Host", description: "Name or address of a server." }),
    port: portSetting(5432, "The server's port; YugabyteDB's YSQL listens at 5433."),
    database: name.meta({ title: "Database", description: "Name of the database to read." }),
    user: name.meta({ title: "User", description: "Who logs in: a role that may SELECT from the tables." }),
    password: z.string().meta({ title: "Password", description: "Password of the user.", secret: true }),
    schema: z
      .preprocess(blankIsAbsent, name.optional())
      .default("public")
      .meta({ title: "Schema", description: "The schema whose tables are read." }),
    sslmode: choice(sslModes).default("prefer").meta({
      title: "TLS mode",
      description:
        "As libpq means it: disable, allow and prefer (TLS where the server has it), require (encrypts without verifying, unless there is sslrootcert), verify-ca, verify-full.",
    }),
    sslrootcert: optionalText.meta({
      title: "Root certificate",
      description: 'The authority that signed the server\'s certificate: a file in PEM, its text, or "system".',
      path: "existing",
    }),
    sslcert: optionalText.meta({
      title: "Client certificate",
      description: "A file in PEM, or its text.",
      path: "existing",
    }),
    sslkey: optionalText.meta({
      title: "Client key",
      description: "A file in PEM, or its text.",
      secret: true,
      path: "existing",
    }),
    connect_timeout: whole(1, 3600)
      .default(15)
      .meta({ title: "Connect timeout", description: "Seconds to wait for a connection." }),
    statement_timeout: whole(0, 86_400).meta({
      title: "Statement timeout",
      description:
        "Seconds that one statement may take; 0 is without end; absent: what the server has set for the role. A read that takes longer is cut in halves.",
    }),
    read_timeout: whole(1, 86_400).default(60).meta({
      title: "Read timeout",
      description:
        "Seconds that the server may be silent while an answer is due. Then a second session looks whether the server still works at it: a query may take as long as it needs.",
    }),
    lag: whole(0, 86_400).default(60).meta({
      title: "Lag",
      description:
        "Seconds by which each window of changes overlaps the one before: rows that are committed later than this after their updated_at are found by sweeps only.",
    }),
    read: choice(["copy", "cursor"]).default("copy").meta({
      title: "Way of reading",
      description: "copy: binary COPY, the fast one; cursor: server-side cursors with text results.",
    }),
    itersize: whole(1, 1_000_000)
      .default(2000)
      .meta({
        when: { setting: "read", is: "cursor" },
        title: "Cursor fetch size",
        description: "The most rows that one FETCH of a cursor asks for.",
      }),
  })
  .meta({ title: "PostgreSQL", description: "PostgreSQL from version 11 on, or YugabyteDB (YSQL)." });

export type Configuration = z.output<typeof configuration>;
