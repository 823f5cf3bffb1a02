import { z } from "zod";
import { sslModes } from "../../wire/postgres/ssl.ts";
import { blankIsAbsent } from "../../toolkit/settings.ts";

/** Published settings come as text, also numbers. */
function whole(least: number, most: number) {
  return z.preprocess(
    (value) => (typeof value === "string" && /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : blankIsAbsent(value)),
    z
      .int({ error: `must be a whole number from ${least} to ${most}` })
      .min(least, { error: `must be at least ${least}` })
      .max(most, { error: `must be at most ${most}` })
      .optional(),
  );
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  yes: true,
  no: false,
  on: true,
  off: false,
};

const flag = z.preprocess(
  (value) => {
    const word = typeof value === "string" ? words[value.trim().toLowerCase()] : undefined;
    return word ?? blankIsAbsent(value);
  },
  z.boolean({ error: "must be true or false" }).optional(),
);

function choice<const Words extends readonly string[]>(options: Words) {
  return z.preprocess(
    (value) => (typeof value === "string" ? blankIsAbsent(value.trim()) : value),
    z.enum(options, { error: `must be one of ${options.join(", ")}` }).optional(),
  );
}

const text = z.string().min(1, { error: "must not be empty" });
const optionalText = z.preprocess(blankIsAbsent, z.string().optional());

/** The settings of a connection to YugabyteDB (YSQL) or PostgreSQL, under the names of the published example. */
export const configuration = z
  .strictObject({
    host: text.meta({ title: "Host", description: "Name or address of a server." }),
    port: whole(1, 65_535)
      .default(5433)
      .meta({ title: "Port", description: "YugabyteDB's YSQL listens at 5433, PostgreSQL at 5432." }),
    database: text.meta({ title: "Database", description: "Name of the database to read." }),
    user: text.meta({ title: "User", description: "Who logs in: a role that may SELECT from the tables." }),
    password: z.string().meta({ title: "Password", description: "Password of the user.", secret: true }),
    schema: optionalText.default("public").meta({ title: "Schema", description: "The schema whose tables are read." }),
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
    lag: whole(0, 86_400).default(60).meta({
      title: "Lag",
      description:
        "Seconds by which each window of changes overlaps the one before: rows that are committed later than this after their updated_at are found by sweeps only.",
    }),
    read: choice(["copy", "cursor"]).default("copy").meta({
      title: "Way of reading",
      description: "copy: binary COPY, the fast one; cursor: server-side cursors with text results.",
    }),
    itersize: whole(1, 1_000_000).default(2000).meta({
      title: "Cursor fetch size",
      description: "The most rows that one FETCH of a cursor asks for.",
    }),
    load_balance: flag.default(false).meta({
      title: "Load balance",
      description: "Spread connections over all nodes of a YugabyteDB cluster that yb_servers() lists.",
    }),
    topology_keys: optionalText.meta({
      title: "Topology keys",
      description:
        "With load_balance: the nodes to connect to, as cloud.region.zone, several separated by commas, * for any zone; the first that has nodes is taken.",
    }),
    follower_reads: flag.default(false).meta({
      title: "Follower reads",
      description:
        "Read from the nearest replicas of YugabyteDB instead of the leaders; the copy is older by follower_staleness_ms.",
    }),
    follower_staleness_ms: whole(500, 3_600_000).default(30_000).meta({
      title: "Follower staleness",
      description: "How far back follower reads lie, in milliseconds.",
    }),
  })
  .meta({ title: "YugabyteDB", description: "YugabyteDB (YSQL), or any PostgreSQL from version 11 on." });

export type Configuration = z.output<typeof configuration>;
