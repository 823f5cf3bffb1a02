import { expect, test } from "vitest";
import { startRedisStack, startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { addRows, fast, independent, openSource, planOf, readRows, type Row, signal, tableOf } from "./reading.ts";
import { rowsOf } from "../../../src/toolkit/vectors.ts";

await describeWith(
  () => startRedisStack(5),
  "time series",
  (server) => {
    const now = Date.now();
    const start = now - 30 * 86_400_000;

    test("have a row for each sample, by whichever path", async () => {
      await server.run("TS.CREATE", "room:1", "RETENTION", 0, "LABELS", "floor", "2");
      await server.runAll(
        Array.from({ length: 5_000 }, (_, index) => ["TS.ADD", "room:1", start + index * 1_000, index / 8]),
      );
      await server.runAll([
        ["TS.ADD", "room:2", 0, "-1.5e300"],
        ["TS.ADD", "room:2", now, 20],
        ["SET", "plain", "x"],
      ]);
      await using source = await openSource(server);
      const table = await tableOf(source, "dragonfly_data_timeseries");
      expect(table.key).toEqual(["key", "timestamp"]);
      const rows = await readRows(source, table);
      expect(rows.size).toBe(5_002);
      expect(rows.get(`room:1|${start * 1_000}`)).toEqual({
        key: "room:1",
        timestamp: BigInt(start) * 1_000n,
        value: 0,
      });
      expect(rows.get("room:2|0")).toEqual({ key: "room:2", timestamp: 0n, value: -1.5e300 });
      expect(sorted(await readRows(source, table, { how: independent }))).toEqual(sorted(rows));
      expect((await readRows(source, await tableOf(source, "dragonfly_data"))).size).toBe(1);
    });

    test("a window has what came since, late samples and corrected ones too, of every series", async () => {
      await using source = await openSource(server, { late_seconds: "60" });
      const table = await tableOf(source, "dragonfly_data_timeseries");
      const full = await planOf(source, table, "full");
      const late = Date.parse(full.asOf) - 30_000;
      await server.runAll([
        ["TS.ADD", "room:1", late, 1],
        ["TS.ADD", "room:1", late + 10_000, 2],
        ["TS.ADD", "room:1", late, 3, "ON_DUPLICATE", "LAST"],
        ["TS.ADD", "room:3", late + 20_000, 4],
      ]);
      const rows = await readRows(source, table, { kind: "window", previous: full.next });
      expect(rows.get(`room:1|${late * 1_000}`)?.["value"]).toBe(3);
      expect(rows.get(`room:3|${(late + 20_000) * 1_000}`)?.["value"]).toBe(4);
      expect(rows.size).toBe(4);
    });

    test("a sweep shows corrections, trimmed and removed samples; they are looked up by key", async () => {
      await using source = await openSource(server);
      const table = await tableOf(source, "dragonfly_data_timeseries");
      const before = await readRows(source, table);
      await server.run("TS.ADD", "room:1", start, 99, "ON_DUPLICATE", "LAST");
      await server.run("TS.DEL", "room:1", start + 1_000, start + 2_000);
      const swept = await readRows(source, table, { kind: "keys" });
      expect(swept.size).toBe(before.size - 2);
      expect(swept.get(`room:1|${start * 1_000}`)?.["value"]).toBe(99);
      const keys = [start, start + 1_000, start + 3_000].map((at) => ["room:1", BigInt(at) * 1_000n]);
      const found = new Map<string, Row>();
      const columns = table.columns.filter(({ name }) => table.key.includes(name));
      for await (const rows of source.lookup(table, rowsOf(columns, [...keys, ["none", 1n], ["plain", 1n]]), fast))
        addRows(found, rows, table);
      expect([...found.values()].map((row) => row["value"])).toEqual([99, 0.375]);
    });
  },
);

const servers = [
  ["Valkey", startValkey],
  ["Redis Stack", startRedisStack],
] as const;
for (const [title, start] of servers) {
  await describeWith(
    () => start(6),
    `streams of ${title}`,
    (server) => {
      test("have a row for each entry, by whichever path", async () => {
        await server.runAll(
          Array.from({ length: 4_500 }, (_, index) => [
            "XADD",
            "orders",
            `${1_700_000_000_000 + index}-${index % 3}`,
            "n",
            index,
          ]),
        );
        await server.runAll([
          ["XADD", "odd", "1-0", "a", "1", "b", "ä\n", "a", "2"],
          ["XADD", "odd", "18446744073709551615-1", "bytes", Buffer.from([255])],
        ]);
        await using source = await openSource(server);
        const table = await tableOf(source, "dragonfly_data_streams");
        const rows = await readRows(source, table);
        expect(rows.size).toBe(4_502);
        expect(rows.get("odd|1-0")).toMatchObject({ timestamp: 1_000n, fields: '{"a":["1","2"],"b":"ä\\n"}' });
        expect(rows.get("odd|18446744073709551615-1")).toMatchObject({
          timestamp: null,
          fields: '{"bytes":"base64:/w=="}',
        });
        expect(rows.get("orders|1700000000001-1")).toMatchObject({
          timestamp: 1_700_000_000_001_000n,
          fields: '{"n":"1"}',
        });
        expect(sorted(await readRows(source, table, { how: independent }))).toEqual(sorted(rows));
        expect((await readRows(source, await tableOf(source, "dragonfly_data"))).size).toBe(0);
      });

      test("a window has the new entries, a sweep all that are there", async () => {
        await using source = await openSource(server);
        const table = await tableOf(source, "dragonfly_data_streams");
        const { next } = await planOf(source, table, "full");
        const id = String(await server.run("XADD", "orders", "*", "n", "new"));
        await server.run("XDEL", "orders", "1700000000000-0");
        const window = await readRows(source, table, { kind: "window", previous: next });
        expect([...window.keys()].sort()).toEqual(["odd|18446744073709551615-1", `orders|${id}`]);
        expect(window.get(`orders|${id}`)?.["fields"]).toBe('{"n":"new"}');
        const swept = await readRows(source, table, { kind: "keys" });
        expect(swept.size).toBe(4_502);
        expect(swept.has("orders|1700000000000-0")).toBe(false);
      });

      test("without the setting there is no such table", async () => {
        await using source = await openSource(server, { streams: "false", time_series: "false" });
        expect((await source.discover(signal)).map((table) => table.id)).toEqual(["dragonfly_data"]);
      });
    },
  );
}

function sorted(rows: Map<string, Row>): [string, Row][] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}
