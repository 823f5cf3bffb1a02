import { expect, test } from "vitest";
import type { CatalogTable } from "../catalog/catalog.ts";
import type { Shape } from "../catalog/shape.ts";
import type { Configuration } from "../config.ts";
import { whyNotFollowed } from "./followed.ts";
import { isLogGone } from "./listener.ts";
import { pluginOf } from "./names.ts";
import { lostBecause, type StreamPosition } from "./position.ts";
import { committedBefore } from "./visible.ts";

/** What YugabyteDB documents (v2025.2), and answers by its sources; it is not run here. */
const yugabyte = { versionNumber: 150012, yugabyte: true };

function shapeWith(replicaIdentity: string, catalog: Partial<CatalogTable> = {}, keyIsIndex = false): Shape {
  const heap = { replicaIdentity, kind: "r", logged: true };
  return {
    catalog: { heaps: [heap], indexes: [], partitioned: false, ...catalog },
    key: ["id"],
    keyIsIndex,
  } as unknown as Shape;
}

test.each([
  ["CHANGE, the default", "c", "yboutput", null],
  ["CHANGE", "c", "pgoutput", "the plugin pgoutput does not know its replica identity CHANGE"],
  ["DEFAULT", "d", "pgoutput", null],
  ["FULL", "f", "pgoutput", null],
  ["NOTHING", "n", "yboutput", "its replica identity does not hold the key"],
] as const)("replica identity %s", (_, identity, plugin, reason) => {
  expect(whyNotFollowed(shapeWith(identity), yugabyte, plugin)).toBe(reason);
});

test("a table that is partitioned, or has a key by an index only, is not followed", () => {
  const partitioned = shapeWith("c", { partitioned: true });
  expect(whyNotFollowed(partitioned, yugabyte, "yboutput")).toContain("partitioned tables of YugabyteDB");
  expect(whyNotFollowed(shapeWith("c", {}, true), yugabyte, "yboutput")).toContain("does not hold the key");
});

test("the plugin is YugabyteDB's own unless another is set, and PostgreSQL's on PostgreSQL", () => {
  const configuration = {} as Configuration;
  expect(pluginOf(configuration, yugabyte)).toBe("yboutput");
  expect(pluginOf({ ...configuration, plugin: "pgoutput" }, yugabyte)).toBe("pgoutput");
  expect(pluginOf({ ...configuration, plugin: "yboutput" }, { yugabyte: false })).toBe("pgoutput");
});

test("a commit is seen once the clock of a node is past its time by more than clocks may differ", () => {
  const sees = committedBefore(10_000);
  expect([8_999, 9_000, 9_500, 10_000].map((at) => sees({ xid: 1, at }))).toEqual([true, false, false, false]);
});

test("positions of one slot are compared, those of another stream are not", () => {
  const names = { slot: "s", publication: "p" };
  const position: StreamPosition = { slot: "s", system: "yugabytedb/4f2a", published: "1", lsn: "0/9" };
  const now = { names, system: "yugabytedb/4f2a", published: "1", confirmed: 9n };
  expect(lostBecause(position, now)).toBeNull();
  expect(lostBecause(position, { ...now, confirmed: 10n })).toContain("was made again or read by something else");
  // The numbers of another slot begin anew.
  expect(lostBecause({ ...position, lsn: "0/FFFF" }, { ...now, system: "yugabytedb/77b0" })).toBe(
    'the slot "s" was made again',
  );
  expect(lostBecause(position, { ...now, system: "7301/00000001" })).toContain("the server was replaced");
});

test.each([
  ["Stream ID 4f2a is expired for Tablet ID 77b0", true],
  ["Stream ID 4f2a unpolled for too long for Tablet ID 77b0", true],
  ["CDCSDK Trying to fetch already GCed intents for transaction 1", true],
  ["Unexpectedly did not find a WAL message corresponding to from_op_id: 1.2", true],
  ["Timed out waiting for GetConsistentChanges", false],
  ["terminating connection due to administrator command", false],
])("whether the log is gone: %s", (message, isGone) => {
  expect(isLogGone(message)).toBe(isGone);
});
