import { describe, expect, test } from "vitest";
import { ownerOf, topologyOf } from "./topology.ts";

const local = {
  ...{ cluster_name: "c", release_version: "5.0.9", data_center: "north", host_id: "1", tokens: ["0"] },
  partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
};
const peer = (host: string, dataCenter: string, token: string): Record<string, string | readonly string[]> => ({
  ...{ peer: host, native_address: host, native_port: "9043", data_center: dataCenter, host_id: host, tokens: [token] },
});
const peers = [
  peer("10.0.0.2", "north", "100"),
  peer("10.0.0.3", "south", "50"),
  { peer: "10.0.0.4", rpc_address: "0.0.0.0", data_center: "north", host_id: "4", tokens: ["-100"] },
  { peer: "10.0.0.5", rpc_address: "10.0.0.5", data_center: "north", host_id: "5", tokens: [] },
];
const contact = { host: "db.example", port: 9042 };

describe("topology", () => {
  test("nodes of the local data centre, by their own addresses; the contact point by the user's", () => {
    const { nodes, dataCenters } = topologyOf(local, peers, contact, { wanted: null, setting: "s", scylla: false });
    expect(nodes.map(({ host, port }) => `${host}:${port}`)).toEqual([
      "db.example:9042",
      "10.0.0.2:9043",
      "10.0.0.4:9042",
    ]);
    expect(dataCenters).toEqual(["north", "south"]);
  });

  test("a token belongs to the next of the local data centre's, and after the last to the first", () => {
    const { ring } = topologyOf(local, peers, contact, { wanted: null, setting: "s", scylla: false });
    const owner = (token: bigint): string => ownerOf(ring, token)!.host;
    expect([-200n, -100n, -99n, 0n, 1n, 60n, 100n, 101n].map(owner)).toEqual([
      ...["10.0.0.4", "10.0.0.4", "db.example", "db.example"],
      ...["10.0.0.2", "10.0.0.2", "10.0.0.2", "10.0.0.4"],
    ]);
  });

  test("a data centre that is not there is refused with those that are", () => {
    const how = { wanted: "North", setting: "data_center_region", scylla: true };
    expect(() => topologyOf(local, peers, contact, how)).toThrow(
      'data_center_region: the cluster has no data centre "North"',
    );
  });
});
