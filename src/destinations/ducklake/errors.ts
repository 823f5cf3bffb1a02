import type { HeadwatersError } from "../../protocol/errors.ts";
import { duckdbError, type KnownError } from "../duckdb/errors.ts";
import { fileErrors } from "../duckdb/file-errors.ts";

/** DuckDB's messages about lakes, their catalogs and their storage, and the errors for the user. */
const ofLakes: readonly KnownError[] = [
  {
    pattern: /Transaction conflict|Exceeded the maximum retry count/i,
    code: "WRITE_CONFLICT",
    message: () => "another program changed the same tables of the lake; this commit was rolled back",
    hint: "Sync again: it goes on from the last commit. Run maintenance of the lake while no sync runs.",
  },
  {
    pattern: /Existing DuckLake at metadata catalog .* does not exist/s,
    code: "DESTINATION_EMPTY",
    message: (place) => `catalog: there is no lake at ${place} yet`,
    hint: "Run sync first.",
  },
  {
    pattern: /data_path is not set/i,
    code: "CONFIGURATION_INVALID",
    message: () => "data: a new lake whose catalog is in PostgreSQL needs a place for its files",
    hint: "Set data to a folder, or to s3://bucket/prefix.",
  },
  {
    pattern: /DATA_PATH parameter "[^"]*" does not match existing data path in the catalog "([^"]*)"/,
    code: "CONFIGURATION_INVALID",
    message: (_, match) => `data: the files of this lake are in ${match[1]}`,
    hint: "Leave data out, or set it to that place.",
  },
  {
    pattern: /requires the extension (\w+) to be loaded/,
    code: "CONFIGURATION_INVALID",
    message: () => "data: the files of this lake are in another storage than data names",
    hint: "Set data to the same place, s3://bucket/prefix, with the settings s3_… that it needs.",
  },
  {
    pattern: /catalog version mismatch: catalog version is (\S+),/,
    code: "DESTINATION_UNUSABLE",
    message: (place, match) => `catalog: the lake at ${place} has format ${match[1]}, which this DuckDB does not use`,
    hint: "If nobody needs the older format, attach it once with AUTOMATIC_MIGRATION true in DuckDB. Otherwise choose another catalog.",
  },
  {
    pattern: /permission denied for (\w+) (\S+)/i,
    code: "PRIVILEGE_MISSING",
    message: (place, match) => `catalog: the user may not write ${match[1]} ${match[2]} in ${place}`,
    hint: "Let the user create tables in the schema of the catalog: GRANT USAGE, CREATE ON SCHEMA … TO …",
  },
  {
    pattern:
      /server closed the connection|terminating connection|no connection to the server|could not (receive|send) data|connection to server .* failed|SSL SYSCALL/is,
    code: "CONNECTION_LOST",
    message: (place) => `catalog: the connection to ${place} broke`,
    hint: "It may pass by itself. If it happens often, look for a firewall, a proxy or a server that restarts.",
  },
  {
    pattern: /\b(403|Forbidden|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSecurity)\b/,
    code: "PRIVILEGE_MISSING",
    message: () => "data: the storage refuses to read or write files with this key",
    hint: "Check s3_access_key_id, s3_secret_access_key and s3_region; the key needs to list, get, put and delete objects.",
  },
  {
    pattern: /NoSuchBucket|The specified bucket does not exist|HTTP 404|\b404 \(Not Found\)/,
    code: "DESTINATION_UNUSABLE",
    message: () => "data: the bucket, or a file of the lake in it, does not exist",
    hint: "Check data, s3_endpoint and s3_url_style.",
  },
  {
    pattern: /\b(50[0234])\b.*(Error|Unavailable|Slow ?Down|Gateway)|SlowDown/i,
    code: "SERVER_UNAVAILABLE",
    message: () => "data: the storage is overloaded or not available",
    hint: "It may pass by itself. If it does not, check the storage.",
  },
  {
    pattern: /Could not (establish|resolve|connect)|Couldn't (connect|resolve)|Failed to connect|Connection refused/i,
    code: "CONNECTION_REFUSED",
    message: () => "data: the storage can't be reached",
    hint: "Check s3_endpoint, the network and the firewall.",
  },
  ...fileErrors("catalog"),
];

/** Converts an error of DuckDB into one for the user. `place`: the catalog's name in messages. */
export function lakeError(thrown: unknown, place: string): HeadwatersError {
  return duckdbError(thrown, place, ofLakes);
}
