import { HeadwatersError } from "../../protocol/errors.ts";
import { decoded } from "../../toolkit/decoded.ts";
import { nearest } from "../../toolkit/nearest.ts";

/** The settings of a source in an address. */
interface Scheme {
  readonly type: string;
  readonly host?: string;
  readonly user?: string;
  /** The setting that the path gives; absent: the address has no path. */
  readonly path: string;
  /** More settings that the scheme stands for. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const postgresql = { user: "user", path: "database" } as const;
const encrypted = { more: { ssl: true } } as const;

/** By scheme; the names of settings are those of the source, `host` and `username` unless it says otherwise. */
const sourceSchemes: Readonly<Record<string, Scheme>> = {
  postgresql: { type: "postgresql", ...postgresql },
  postgres: { type: "postgresql", ...postgresql },
  yugabytedb: { type: "yugabytedb", ...postgresql },
  redis: { type: "redis", path: "database" },
  rediss: { type: "redis", path: "database", ...encrypted },
  valkey: { type: "valkey", path: "database" },
  valkeys: { type: "valkey", path: "database", ...encrypted },
  dragonflydb: { type: "dragonflydb", path: "database" },
  cassandra: { type: "cassandra", host: "hostname", path: "keyspace" },
  scylladb: { type: "scylladb", host: "host_1", path: "keyspace" },
  rethinkdb: { type: "rethinkdb", path: "database" },
};

export const schemes: readonly string[] = Object.keys(sourceSchemes);

/** Passwords may hold any character, so the last `@` before the host counts. */
const form =
  /^(?<scheme>[a-z][a-z0-9+.-]*):\/\/(?:(?<user>[^:@/]*)(?::(?<password>.*))?@)?(?<host>\[[^\]]*\]|[^:/?#@]*)(?::(?<port>[^/?#@]*))?(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/isu;

export function isAddress(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

/**
 * The mapping for `source: postgresql://reader@localhost:5432/shop?sslmode=require`. Other settings of the source follow the
 * `?`. `place`: where the address was given. Errors never repeat the address, which may hold a password.
 */
export function sourceFromAddress(address: string, place: string): Readonly<Record<string, unknown>> {
  const parts = form.exec(address)?.groups;
  const wrong = (message: string, hint: string): HeadwatersError =>
    new HeadwatersError("CONFIGURATION_INVALID", `${place} ${message}`, { hint });
  const example = "Write it as postgresql://reader@localhost:5432/shop.";
  if (parts === undefined) throw wrong("is not a valid address.", example);
  const name = parts["scheme"]!.toLowerCase();
  const scheme = Object.hasOwn(sourceSchemes, name) ? sourceSchemes[name]! : null;
  if (scheme === null) {
    const meant = nearest(name, schemes);
    const known = `Addresses begin with ${schemes.join("://, ")}://.`;
    throw wrong(`begins with ${name}://, which no source has.`, meant === null ? known : `Did you mean ${meant}://?`);
  }
  const { type, host = "host", user = "username", path, more = {} } = scheme;
  const settings = {
    [host]: parts["host"]!.replace(/^\[|\]$/g, ""),
    port: parts["port"],
    [user]: parts["user"],
    password: parts["password"],
    [path]: parts["path"],
  };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined && value !== "");
  // Where libpq would ask for it, an absent password is none.
  const none = scheme.user === undefined ? {} : { password: "" };
  return {
    ...none,
    ...more,
    ...Object.fromEntries(given.map(([setting, value]) => [setting, decoded(value!)])),
    ...Object.fromEntries(new URLSearchParams(parts["query"] ?? "")),
    type,
  };
}
