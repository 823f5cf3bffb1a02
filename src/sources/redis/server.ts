import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { RespError } from "../../wire/resp/errors.ts";
import type { RespConnection } from "../../wire/resp/connection.ts";

/** What a server reports about itself. */
export interface ServerInfo {
  /** `Dragonfly`, `Valkey`, `Redis`, … */
  readonly kind: string;
  readonly version: string;
  /** Identifies the process of the server, because a SCAN's cursor is valid only in that process. */
  readonly identity: Identity;
  /** Its clock, in milliseconds since 1970. */
  readonly now: number;
  /** The number of keys in the selected database. */
  readonly keys: number;
  readonly role: string;
  /** The server is one node of a cluster, and others have the rest of the keys. */
  readonly cluster: boolean;
}

/**
 * What identifies the process. Dragonfly has no `run_id`: a master and its replicas have the same `master_replid`, and may
 * have started at the same time, so that everything else that can differ counts too.
 */
export type Identity =
  | { readonly run: string }
  | { readonly replication: string; readonly started: number; readonly process: string };

/** In milliseconds. The server reports its age in whole seconds, and clocks are corrected. */
const startTolerance = 5_000;

const clusterSlots = 16_384;

/** Names of servers, by the field of INFO that has their version. */
const kinds: readonly (readonly [string, string])[] = [
  ["dragonfly_version", "Dragonfly"],
  ["valkey_version", "Valkey"],
  ["keydb_version", "KeyDB"],
  ["redis_version", "Redis"],
];

/** Asks the server. Throws `SERVER_UNAVAILABLE` if the server does not have all its data yet. */
export async function serverInfo(connection: RespConnection, database: number): Promise<ServerInfo> {
  const fields = parseInfo(String(await connection.call("INFO")));
  const time = (await connection.call("TIME")) as readonly Buffer[];
  const now = Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000);
  if (fields.get("loading") === "1" || fields.get("master_sync_in_progress") === "1") {
    const what =
      fields.get("loading") === "1" ? "is still loading its data" : "is a replica that is still copying its master";
    throw new HeadwatersError("SERVER_UNAVAILABLE", `the server ${what}`, { hint: "Sync again once it is ready." });
  }
  const [field, kind] = kinds.find(([name]) => fields.has(name)) ?? ["redis_version", "Redis"];
  const run = fields.get("run_id") ?? "";
  const uptime = Number(fields.get("uptime_in_seconds") ?? 0) * 1_000;
  return {
    kind,
    version: (fields.get(field) ?? "of unknown version").replace(/^df-/, "").replace(/^v(?=\d)/, ""),
    identity:
      run !== ""
        ? { run }
        : { replication: fields.get("master_replid") ?? "", started: now - uptime, process: processOf(fields) },
    now,
    keys: Number(/keys=(\d+)/.exec(fields.get(`db${database}`) ?? "")?.[1] ?? 0),
    role: fields.get("role") ?? "master",
    cluster: fields.get("cluster_enabled") === "1" && !(await hasAllSlots(connection)),
  };
}

/** All slots belong to one node, such as with Dragonfly's `--cluster_mode=emulated`. A server that does not say may not. */
async function hasAllSlots(connection: RespConnection): Promise<boolean> {
  const slots = await connection.call("CLUSTER", "SLOTS").catch((thrown: unknown) => {
    if (thrown instanceof RespError) return [];
    throw thrown;
  });
  if (!Array.isArray(slots)) return false;
  const ranges = slots as readonly (readonly [from: number, to: number, master: readonly unknown[]])[];
  const masters = new Set(ranges.map(([, , master]) => String(master)));
  return masters.size === 1 && ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0) === clusterSlots;
}

export function sameServer(kept: Json, now: Identity): boolean {
  if (typeof kept !== "object" || kept === null) return false;
  const before = kept as Record<string, Json>;
  if ("run" in now) return before["run"] === now.run;
  return (
    before["replication"] === now.replication &&
    before["process"] === now.process &&
    Math.abs(Number(before["started"]) - now.started) <= startTolerance
  );
}

function processOf(fields: ReadonlyMap<string, string>): string {
  return ["process_id", "tcp_port", "role", "thread_count", "master_host", "master_port"]
    .map((name) => fields.get(name) ?? "")
    .join(" ");
}

function parseInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}
