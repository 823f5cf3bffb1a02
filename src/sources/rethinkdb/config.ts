import { z } from "zod";
import { byTable, choice, flag, optionalText, text, whole } from "../../toolkit/settings.ts";

/** How current the documents must be, from the cheapest mode on: https://rethinkdb.com/docs/consistency/ */
const readModes = ["outdated", "single", "majority"] as const;

/** The settings of a connection to RethinkDB, under the names of the published example. */
export const configuration = z
  .strictObject({
    host: text.meta({ title: "Host", description: "Name or address of a server." }),
    port: whole(1, 65_535)
      .default(28015)
      .meta({ title: "Port", description: "Port of the driver protocol; not that of the web interface (8080)." }),
    database: text.meta({ title: "Database", description: "Name of the database to read." }),
    username: optionalText.default("admin").meta({
      title: "User",
      description: 'Who logs in; absent: "admin", which has no password on a new server. Needs the permission read.',
    }),
    password: z
      .string()
      .default("")
      .meta({ title: "Password", description: "Password of the user; absent: none.", secret: true }),
    use_ssl: flag.default(false).meta({
      title: "TLS",
      description: "Whether the connection is encrypted; the server's certificate must then be valid for the host.",
    }),
    ssl_ca: optionalText.meta({
      when: { setting: "use_ssl", is: true },
      title: "Authority",
      description:
        "File with the authority that signed the server's certificate (PEM); absent: those that Node.js trusts.",
      path: true,
    }),
    read_mode: choice(readModes).default("single").meta({
      title: "Read mode",
      description:
        "outdated: read from any replica, which spares the primaries; single: from the primaries' memory; majority: only what a majority has on disk. Sweeps and second looks before a delete always read with majority.",
    }),
    lag: whole(0, 86_400).default(60).meta({
      title: "Lag",
      description:
        "Seconds by which each window of changes overlaps the one before: documents that are stored later than this after their timestamp are found by sweeps only.",
    }),
    changes: byTable(["cursor", "stream"]).default("cursor").meta({
      title: "Changes",
      description:
        "How changes are seen: cursor (by the timestamp of documents, and by sweeps), or stream (headwaters follow listens to change feeds; a sync works as with cursor). Or by table, with * for the others: { orders: stream, '*': cursor }.",
    }),
    connect_timeout: whole(1, 3_600)
      .default(20)
      .meta({ title: "Connect timeout", description: "Seconds to wait for a connection and the login." }),
    read_timeout: whole(2, 86_400).default(60).meta({
      title: "Read timeout",
      description:
        "Seconds that the server may be silent while an answer is due. One that is busy still answers a small question meanwhile, and may take as long as it needs.",
    }),
  })
  .meta({ title: "RethinkDB", description: "RethinkDB 2.3 or later." });

export type Configuration = z.output<typeof configuration>;
