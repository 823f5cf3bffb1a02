import { unanswered } from "../../net/reach.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "../../wire/postgres/connection.ts";

/** A node of a cluster, as `yb_servers()` lists it. */
interface Node {
  readonly host: string;
  readonly port: number;
  /** `cloud.region.zone`. */
  readonly place: string;
}

/** Nodes join and leave, so the list is requested again after this many milliseconds. */
const listAge = 300_000;

/** Opens connections on the nodes of a YugabyteDB cluster in turn. */
export class Nodes {
  readonly #settings: PostgresSettings;
  readonly #keys: readonly string[];
  #nodes: readonly Node[] = [];
  #listed = -Infinity;
  #turn = 0;

  /** `topologyKeys`: see {@link matching}. */
  constructor(settings: PostgresSettings, topologyKeys: string | undefined) {
    this.#settings = settings;
    this.#keys = (topologyKeys ?? "")
      .split(",")
      .map((key) => key.trim())
      .filter((key) => key !== "");
  }

  /** A connection to the next node in turn; a node that does not answer is skipped. */
  async connect(signal: AbortSignal): Promise<PostgresConnection> {
    if (performance.now() - this.#listed > listAge) {
      const first = await connectPostgres(this.#settings, signal);
      this.#nodes = matching(await listNodes(first, this.#settings.host, signal), this.#keys);
      this.#listed = performance.now();
      if (this.#nodes.length === 0) return first;
      await first[Symbol.asyncDispose]();
    }
    for (let tried = 0; tried < this.#nodes.length; tried++) {
      const { host, port } = this.#nodes[this.#turn++ % this.#nodes.length]!;
      try {
        return await connectPostgres({ ...this.#settings, host, port }, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (!(thrown instanceof HeadwatersError)) throw thrown;
        if (!unanswered.has(thrown.code) && thrown.remedy !== "retry") throw thrown;
      }
    }
    return connectPostgres(this.#settings, signal);
  }
}

/** Lists public addresses if the user gave a public one. PostgreSQL does not have such a list: the result is empty. */
async function listNodes(connection: PostgresConnection, host: string, signal: AbortSignal): Promise<readonly Node[]> {
  const [known] = await connection.query(
    "SELECT FROM pg_proc WHERE proname = 'yb_servers' AND pronamespace = 'pg_catalog'::regnamespace",
    [],
    signal,
  );
  if (known === undefined) return [];
  const rows = await connection.query(
    "SELECT host, public_ip, port::text AS port, concat_ws('.', cloud, region, zone) AS place FROM yb_servers()",
    [],
    signal,
  );
  const publicly = rows.some((row) => row["public_ip"] === host);
  return rows.map((row) => ({
    host: (publicly ? row["public_ip"] : row["host"]) || row["host"]!,
    port: Number(row["port"]),
    place: row["place"]!,
  }));
}

/**
 * The nodes of the first keys that match any: `aws.eu-west-1.eu-west-1a`, or `aws.eu-west-1.*` for all of its zones. A
 * preference after a colon (`:1`) orders the keys. Without keys, or if none match: all nodes.
 */
export function matching(nodes: readonly Node[], keys: readonly string[]): readonly Node[] {
  const ordered = keys
    .map((key) => {
      const [place = "", preference = "1"] = key.split(":");
      return { place, preference: Number(preference) };
    })
    .sort((a, b) => a.preference - b.preference);
  for (const { preference } of ordered) {
    const wanted = ordered.filter((key) => key.preference === preference).map((key) => key.place);
    const found = nodes.filter(({ place }) =>
      wanted.some((key) => (key.endsWith(".*") ? place.startsWith(key.slice(0, -1)) : place === key)),
    );
    if (found.length > 0) return found;
  }
  return nodes;
}
