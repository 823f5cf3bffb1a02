import { expect, test } from "vitest";
import { defaultSettings } from "../../../src/engine/connection.ts";
import type { SyncEvent } from "../../../src/engine/events.ts";
import { follow } from "../../../src/engine/run/follow.ts";
import { definition } from "../../../src/sources/postgresql/index.ts";
import { describeWith } from "../../servers/require.ts";
import { openSource, sql } from "../../sources/postgresql/harness.ts";
import { LakeHarness, lakeServer } from "./harness.ts";

/** A table may have fewer small files. */
const files = 66;
/** After ten commits, files are tidied up. */
const rounds = 12;

await describeWith(lakeServer, "a lake that a source is followed into", (options) => {
  test("has what changed; small files are merged, and snapshots expired", { timeout: 240_000 }, async () => {
    await using database = await options.server.createDatabase();
    await sql(database, `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'a')`);
    await using lake = await LakeHarness.make({ ...options, settings: { keep_snapshots: "1s" } });
    const stop = new AbortController();
    const events: SyncEvent[] = [];
    const warnings: string[] = [];
    const log = { debug: () => {}, info: () => {}, warn: (message: string) => void warnings.push(message) };
    const following = (async () => {
      await using source = await openSource(database, { changes: "stream" });
      await using warehouse = await lake.open({ log });
      const connection = {
        ...{ name: "c", source, warehouse, scope: null, capabilities: definition.capabilities, log },
        selection: { include: [], exclude: [] },
        settings: { ...defaultSettings, followMilliseconds: 50 },
      };
      return await follow(connection, { signal: stop.signal }, (event) => void events.push(event));
    })();
    following.catch(() => {});
    const commits = (): number => events.filter((event) => event.kind === "followed" && event.tables.length > 0).length;
    /** Until something was committed since. */
    const committed = (since: number): Promise<void> =>
      expect.poll(() => Promise.race([following, commits()]), { timeout: 60_000, interval: 20 }).toBeGreaterThan(since);
    await committed(0);
    // As many files as the commits of an hour make.
    await lake.using(async (query) => {
      for (let id = 1; id <= files; id++) await query(`INSERT INTO copy.s.t VALUES (${-id}, 'f', now(), true)`);
    });
    for (let round = 1; round <= rounds; round++) {
      const before = commits();
      await sql(database, `UPDATE t SET name = 'r${round}' WHERE id = 1; INSERT INTO t VALUES (${100 + round}, 'n')`);
      if (round > 1) await sql(database, `DELETE FROM t WHERE id = ${99 + round}`);
      await committed(before);
    }
    const live = async (): Promise<unknown> => {
      const rows = await lake.readBack("s", "t");
      return Object.fromEntries(
        rows!.filter((row) => row["_headwaters_deleted"] !== true).map(({ id, name }) => [String(id), name]),
      );
    };
    await expect
      .poll(live, { timeout: 60_000, interval: 200 })
      .toEqual({ 1: `r${rounds}`, 2: "a", [100 + rounds]: "n" });
    stop.abort();
    expect((await following).tables).toMatchObject([{ table: "t", outcome: "whole" }]);
    expect(warnings).toEqual([]);
    const [left] = await lake.query("SELECT count(*)::INT AS n FROM ducklake_list_files('copy', 't', schema => 's')");
    expect(left!["n"]).toBeLessThan(files / 2);
    // Those of the files were more than a second old.
    const [snapshots] = await lake.query("SELECT min(snapshot_id)::INT AS first FROM ducklake_snapshots('copy')");
    expect(snapshots!["first"]).toBeGreaterThan(files);
  });
});
