import { literal } from "../sql/names.ts";
import { realFile } from "../duckdb/database.ts";
import type { PostgresSettings } from "../../wire/postgres/connection.ts";
import { type SslMode, sslModes } from "../../wire/postgres/ssl.ts";

/** The place of a lake's catalog. */
export type Catalog =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "postgresql"; readonly settings: PostgresSettings; readonly schema: string | null };

/** The time limit for connecting, in milliseconds. */
const connectTimeout = 15_000;

const sslSettings = ["sslmode", "sslrootcert", "sslcert", "sslkey"] as const;

export function isPostgresql(address: string): boolean {
  return /^postgres(ql)?:\/\//i.test(address);
}

/** The fault of a PostgreSQL address; `null`: none. The text does not quote the address, which may hold a password. */
export function problemOf(address: string): string | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || url.hostname === "" || url.username === "" || url.pathname.length < 2)
    return "must have the form postgresql://user@host:5432/database";
  if (url.password !== "") return "must not hold the password: set password instead";
  const other = [...url.searchParams.keys()].find((name) => !(sslSettings as readonly string[]).includes(name));
  if (other !== undefined) return `may have ${sslSettings.join(", ")} behind the question mark, not ${other}`;
  const mode = url.searchParams.get("sslmode");
  if (mode !== null && !(sslModes as readonly string[]).includes(mode))
    return `has an unknown sslmode: it must be one of ${sslModes.join(", ")}`;
  return null;
}

/** The configuration for `ducklake:ADDRESS`. A password in the address becomes the setting `password`. */
export function configurationOf(address: string): Readonly<Record<string, string>> {
  if (address === "") return {};
  if (!isPostgresql(address) || !URL.canParse(address)) return { catalog: address };
  const url = new URL(address);
  const { password } = url;
  url.password = "";
  return { catalog: url.href, ...(password === "" ? {} : { password: decodeURIComponent(password) }) };
}

/** The settings for the place of the catalog. */
interface CatalogSettings {
  readonly catalog: string;
  readonly catalog_schema?: string | undefined;
  readonly password?: string | undefined;
}

export async function catalogOf({ catalog, catalog_schema, password }: CatalogSettings): Promise<Catalog> {
  if (!isPostgresql(catalog)) return { kind: "file", path: await realFile("catalog", catalog) };
  const url = new URL(catalog);
  const given = (name: (typeof sslSettings)[number]): string | undefined => url.searchParams.get(name) ?? undefined;
  return {
    kind: "postgresql",
    schema: catalog_schema ?? null,
    settings: {
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 5432 : Number(url.port),
      database: decodeURIComponent(url.pathname.slice(1)),
      user: decodeURIComponent(url.username),
      password: password ?? "",
      ssl: {
        sslmode: (given("sslmode") ?? "prefer") as SslMode,
        sslrootcert: given("sslrootcert"),
        sslcert: given("sslcert"),
        sslkey: given("sslkey"),
      },
      connectTimeout,
      statementTimeout: null,
      readOnly: false,
      silence: 60_000,
    },
  };
}

/** A catalog's name in messages. */
export function placeOf(catalog: Catalog): string {
  if (catalog.kind === "file") return catalog.path;
  const { host, port, database } = catalog.settings;
  return `${host}:${port}/${database}`;
}

/** The parts of the statements by which DuckDB attaches a catalog. */
export interface Attachment {
  /** A statement to run before attaching. It holds the password. */
  readonly secret: string | null;
  readonly address: string;
  readonly options: readonly string[];
}

export function attachmentOf(catalog: Catalog): Attachment {
  if (catalog.kind === "file") return { secret: null, address: `ducklake:${catalog.path}`, options: [] };
  const { host, port, database, user, password, ssl } = catalog.settings;
  // The login is in a secret, because errors quote the address.
  const login = { HOST: host, PORT: String(port), DATABASE: database, USER: user, PASSWORD: password };
  const given = Object.entries(login).filter(([, value]) => value !== "");
  const words = Object.entries({ ...ssl, connect_timeout: String(connectTimeout / 1_000) });
  return {
    secret: `CREATE SECRET catalog (TYPE postgres, ${given.map(([name, value]) => `${name} ${literal(value)}`).join(", ")})`,
    address: `ducklake:postgres:${words.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${libpqValue(value)}`])).join(" ")}`,
    options: [
      "META_SECRET 'catalog'",
      ...(catalog.schema === null ? [] : [`METADATA_SCHEMA ${literal(catalog.schema)}`]),
    ],
  };
}

/** https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING */
function libpqValue(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}
