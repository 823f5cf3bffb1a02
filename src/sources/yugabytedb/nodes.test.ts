import { expect, test } from "vitest";
import { matching } from "./nodes.ts";

test("nodes by topology keys, the preferred first", () => {
  const nodes = ["aws.eu.a", "aws.eu.b", "aws.us.a", "gcp.eu.a"].map((place) => ({ host: place, port: 5433, place }));
  const hosts = (keys: readonly string[]): string[] => matching(nodes, keys).map((node) => node.host);
  expect(hosts([])).toHaveLength(4);
  expect(hosts(["aws.eu.a"])).toEqual(["aws.eu.a"]);
  expect(hosts(["aws.eu.*"])).toEqual(["aws.eu.a", "aws.eu.b"]);
  expect(hosts(["aws.us.a", "gcp.eu.a"])).toEqual(["aws.us.a", "gcp.eu.a"]);
  expect(hosts(["aws.us.a:2", "gcp.eu.a:1"])).toEqual(["gcp.eu.a"]);
  expect(hosts(["azure.x.y:1", "aws.us.a:2"])).toEqual(["aws.us.a"]);
  expect(hosts(["azure.x.y"])).toHaveLength(4);
});
