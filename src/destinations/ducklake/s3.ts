import { literal } from "../sql/names.ts";
import type { Configuration } from "./config.ts";

export function isS3(place: string): boolean {
  return /^s3:\/\//i.test(place);
}

/** The statement that gives DuckDB the access to the files; `null`: DuckDB takes it from the environment. */
export function s3Secret(configuration: Configuration): string | null {
  const { s3_access_key_id, s3_secret_access_key, s3_session_token, s3_region, s3_endpoint, s3_url_style } =
    configuration;
  const endpoint = s3_endpoint === undefined ? null : addressOf(s3_endpoint);
  const given: Readonly<Record<string, string | undefined>> = {
    KEY_ID: s3_access_key_id,
    SECRET: s3_secret_access_key,
    SESSION_TOKEN: s3_session_token,
    REGION: s3_region,
    ENDPOINT: endpoint?.host,
    URL_STYLE: s3_url_style ?? (endpoint === null ? undefined : "path"),
  };
  const settings = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} ${literal(value)}`],
  );
  if (endpoint !== null) settings.push(`USE_SSL ${endpoint.tls}`);
  return settings.length === 0 ? null : `CREATE SECRET storage (TYPE s3, ${settings.join(", ")})`;
}

/** DuckDB's setting for the address has only host and port. TLS is a separate setting. */
function addressOf(endpoint: string): { readonly host: string; readonly tls: boolean } {
  const [, scheme, rest] = /^(?:(https?):\/\/)?(.*?)\/*$/i.exec(endpoint)!;
  return { host: rest!, tls: scheme?.toLowerCase() !== "http" };
}
