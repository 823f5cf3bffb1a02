import { HeadwatersError } from "../../protocol/errors.ts";
import { type ControlRow, textList, textValue } from "./control-rows.ts";

/** One node of a cluster. */
export interface Node {
  readonly host: string;
  readonly port: number;
  readonly dataCenter: string;
  readonly hostId: string;
  readonly tokens: readonly string[];
}

/** A cluster as one of its nodes sees it. */
export interface Topology {
  readonly clusterName: string;
  readonly version: string;
  readonly scylla: boolean;
  readonly partitioner: string;
  readonly dataCenter: string;
  readonly dataCenters: readonly string[];
  /** The ring of the local data centre: no other is read. */
  readonly nodes: readonly Node[];
  readonly ring: Ring;
}

/** The tokens of the local data centre in their order, each with the node that owns the range up to it. */
export interface Ring {
  readonly tokens: readonly bigint[];
  readonly owners: readonly Node[];
}

/** Throws `DATABASE_UNKNOWN`, naming the existing ones, if `wanted` is no data centre of the cluster. */
export function topologyOf(
  local: ControlRow,
  peers: readonly ControlRow[],
  contact: { readonly host: string; readonly port: number },
  how: { readonly wanted: string | null; readonly setting: string; readonly scylla: boolean },
): Topology {
  const self: Node = { ...contact, ...nodeFields(local) };
  const others = peers.flatMap((row): Node[] => {
    const host = addressOf(row);
    const fields = nodeFields(row);
    // A peer that is about to join or to leave has no tokens or no data centre yet.
    if (host === null || fields.dataCenter === "" || fields.tokens.length === 0) return [];
    return [{ host, port: Number(textValue(row["native_port"]) ?? contact.port), ...fields }];
  });
  const all = [self, ...others.filter((node) => node.hostId !== self.hostId)];
  const dataCenters = [...new Set(all.map((node) => node.dataCenter))].sort();
  const dataCenter = how.wanted ?? self.dataCenter;
  const nodes = all.filter((node) => node.dataCenter === dataCenter);
  if (nodes.length === 0) {
    throw new HeadwatersError("DATABASE_UNKNOWN", `${how.setting}: the cluster has no data centre "${dataCenter}"`, {
      hint: `It has ${dataCenters.map((name) => `"${name}"`).join(", ")}; case matters.`,
    });
  }
  const partitioner = textValue(local["partitioner"]) ?? "";
  return {
    clusterName: textValue(local["cluster_name"]) ?? "",
    version: textValue(local["release_version"]) ?? "",
    scylla: how.scylla,
    partitioner: partitioner.slice(partitioner.lastIndexOf(".") + 1),
    dataCenter,
    dataCenters,
    nodes,
    ring: ringOf(partitioner.endsWith("Murmur3Partitioner") ? nodes : []),
  };
}

function nodeFields(row: ControlRow): Pick<Node, "dataCenter" | "hostId" | "tokens"> {
  return {
    dataCenter: textValue(row["data_center"]) ?? "",
    hostId: textValue(row["host_id"]) ?? "",
    tokens: textList(row["tokens"]),
  };
}

/** Where clients reach a peer: `system.peers_v2` has `native_address`, `system.peers` has `rpc_address`. */
function addressOf(row: ControlRow): string | null {
  const address = textValue(row["native_address"]) ?? textValue(row["rpc_address"]);
  return address === null || address === "0.0.0.0" || address === "::" ? textValue(row["peer"]) : address;
}

function ringOf(nodes: readonly Node[]): Ring {
  const entries = nodes
    .flatMap((owner) => owner.tokens.map((token) => ({ token: BigInt(token), owner })))
    .sort((a, b) => (a.token < b.token ? -1 : a.token > b.token ? 1 : 0));
  return { tokens: entries.map((entry) => entry.token), owners: entries.map((entry) => entry.owner) };
}

/**
 * The node of the local data centre that owns a token. With NetworkTopologyStrategy it is always a replica: replicas of
 * a data centre are placed on its nodes from the token on. `null`: the ring is unknown.
 */
export function ownerOf({ tokens, owners }: Ring, token: bigint): Node | null {
  let [low, high] = [0, tokens.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tokens[middle]! < token) low = middle + 1;
    else high = middle;
  }
  return owners[low === tokens.length ? 0 : low] ?? null;
}
