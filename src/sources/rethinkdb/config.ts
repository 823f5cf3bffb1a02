import { z } from "zod";
import { byTable, choice, flag, optionalText, text, whole } from "../../toolkit/settings.ts";

/** How current the documents must be, from the cheapest mode on: https://rethinkdb.com/docs/consistency/ */
const readModes = ["outdated", "single", "majority"] as const;

/** The settings of a connection to RethinkDB, under the names of the published example. */
export const configuration = z
  .strictObject({
    host: text.meta({ title: "Host", description: "Name or address of a server." }),
    port: whole(1, 65_535).default(28015).meta({
      title: "Port",
      description: "Port of the driver protocol. This is not the port of the web interface (8080).",
    }),
    database: text.meta({ title: "Database", description: "Name of the database to read." }),
    username: optionalText.default("admin").meta({
      title: "User",
      description: 'A user with the permission read. Absent: "admin", which has no password on a new server.',
    }),
    password: z
      .string()
      .default("")
      .meta({ title: "Password", description: "Password of the user. Absent: none.", secret: true }),
    use_ssl: flag.default(false).meta({
      title: "TLS",
      description: "Whether the connection is encrypted. The server's certificate must then be valid for the host.",
    }),
    ssl_ca: optionalText.meta({
      when: { setting: "use_ssl", is: true },
      title: "Authority",
      description:
        "PEM file of the authority that signed the server's certificate. Absent: the authorities that Node.js trusts.",
      path: true,
    }),
    read_mode: choice(readModes).default("single").meta({
      title: "Read mode",
      description:
        "outdated: from any replica, which spares the primaries. single: from the primaries' memory. majority: only what a majority of replicas has on disk. Sweeps, and look-ups before a delete, always use majority.",
    }),
    lag: whole(0, 86_400).default(60).meta({
      title: "Lag",
      description:
        "Seconds by which each window overlaps the one before. A document that is stored later than this after its timestamp is only found by a sweep.",
    }),
    changes: byTable(["cursor", "stream"]).default("cursor").meta({
      title: "Changes",
      description:
        "How changes are found: cursor (by the timestamp of documents and sweeps), or stream (headwaters follow listens to change feeds; a sync works as with cursor). Or by table, with * for the others: { orders: stream, '*': cursor }.",
    }),
    connect_timeout: whole(1, 3_600)
      .default(20)
      .meta({ title: "Connect timeout", description: "Seconds to wait for a connection and the login." }),
    read_timeout: whole(2, 86_400).default(60).meta({
      title: "Read timeout",
      description:
        "Seconds that the server may be silent while an answer is due. Then it is asked a small question. If it answers, the query may take as long as it needs.",
    }),
  })
  .meta({ title: "RethinkDB", description: "RethinkDB 2.3 or later." });

export type Configuration = z.output<typeof configuration>;
