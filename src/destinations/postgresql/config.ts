import { z } from "zod";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { decoded } from "../../toolkit/decoded.ts";
import type { PostgresSettings } from "../../wire/postgres/connection.ts";
import { sslModes } from "../../wire/postgres/ssl.ts";

const pem = z.string().min(1).optional();

/** The settings of a PostgreSQL database. They have libpq's names. */
export const configuration = z
  .strictObject({
    host: z.string().min(1).default("localhost").meta({ description: "Name or address of the server." }),
    port: z.coerce.number().int().min(1).max(65_535).default(5432).meta({ description: "Port of the server." }),
    database: z.string().min(1).meta({ description: "Name of the database. It must exist." }),
    user: z.string().min(1).meta({ description: "A role that may create schemas, or owns them." }),
    password: z.string().default("").meta({
      description: "Password of the user. An address without one takes it from PGPASSWORD.",
      secret: true,
    }),
    sslmode: z.enum(sslModes).default("prefer").meta({
      description:
        "TLS as in libpq: disable, allow and prefer (TLS if the server has it), require (encrypts; verifies only with sslrootcert), verify-ca, verify-full.",
    }),
    sslrootcert: pem.meta({
      description: 'The authority that signed the server\'s certificate: a PEM file, its text, or "system".',
      path: "existing",
    }),
    sslcert: pem.meta({ description: "The client's certificate: a PEM file, or its text.", path: "existing" }),
    sslkey: pem.meta({
      description: "The client's private key: a PEM file, or its text.",
      secret: true,
      path: "existing",
    }),
    connect_timeout: z.coerce
      .number()
      .int()
      .min(1)
      .max(3600)
      .default(15)
      .meta({ description: "Seconds to wait for a connection." }),
    read_timeout: z.coerce.number().int().min(1).max(86_400).default(60).meta({
      description:
        "Seconds that the server may be silent while an answer is due. Then a second session checks whether the server still works on it. If it does, the merge may take as long as it needs.",
    }),
    nul: z.enum(["error", "remove"]).default("error").meta({
      description:
        "PostgreSQL can't hold the character U+0000. error: a text with it stops the table. remove: the text is copied without it.",
    }),
  })
  .meta({ title: "PostgreSQL", description: "PostgreSQL 13 or later." });

export type Configuration = z.output<typeof configuration>;

const address =
  /^\/\/(?:(?<user>[^:@/]*)(?::(?<password>.*))?@)?(?<host>\[[^\]]*\]|[^:/?@]*)(?::(?<port>[^/?@]*))?(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/s;

/** Parses the part after `postgresql:` of `postgresql://user:password@host:5432/database?sslmode=require`. */
export function fromAddress(text: string, variables: NodeJS.ProcessEnv = process.env): Json {
  const parts = address.exec(text)?.groups;
  if (parts === undefined) {
    throw new HeadwatersError("CONFIGURATION_INVALID", "destination: is not a valid address", {
      hint: "Write it as postgresql://user@host:5432/database?sslmode=require.",
    });
  }
  const settings: Record<string, string> = {};
  const password = variables["PGPASSWORD"];
  if (password !== undefined && password !== "") settings["password"] = password;
  for (const [name, value] of Object.entries(parts)) {
    if (name !== "query" && value !== undefined && value !== "") settings[name] = decoded(value);
  }
  if (settings["host"]?.startsWith("[") === true) settings["host"] = settings["host"].slice(1, -1);
  for (const [name, value] of new URLSearchParams(parts["query"] ?? "")) settings[name] = value;
  return settings;
}

export function settingsOf(configuration: Configuration): PostgresSettings {
  const { host, port, database, user, password, connect_timeout, read_timeout } = configuration;
  const { sslmode, sslrootcert, sslcert, sslkey } = configuration;
  return {
    host,
    port,
    database,
    user,
    password,
    ssl: { sslmode, sslrootcert, sslcert, sslkey },
    connectTimeout: connect_timeout * 1000,
    // Merges have no time limit.
    statementTimeout: 0,
    readOnly: false,
    silence: read_timeout * 1000,
  };
}
