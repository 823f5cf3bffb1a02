import { expect, test, vi } from "vitest";
import { launchCassandra, type LocalCassandra } from "../../../src/servers/cassandra.ts";
import type { Json } from "../../../src/protocol/json.ts";
import type { Source } from "../../../src/protocol/source.ts";
import { rowsBytes } from "../../../src/toolkit/vectors.ts";
import { type CassandraServer, startOwnCassandra } from "../../servers/cassandra.ts";
import { describeWith } from "../../servers/require.ts";
import { Copy } from "./copying.ts";
import { openCassandra, passOver, reading, rowsOfPass, tableNamed } from "./harness.ts";

interface TwoNodes extends CassandraServer {
  readonly other: LocalCassandra;
}

/** Two nodes in two data centres; the first gives up at few tombstones. */
async function startTwoNodes(): Promise<TwoNodes> {
  const settings = { tombstone_failure_threshold: 300, tombstone_warn_threshold: 100, range_request_timeout: "5s" };
  const own = await startOwnCassandra(
    { dataCenter: "north", settings },
    "{'class': 'NetworkTopologyStrategy', 'north': 1}",
  );
  try {
    const other = await launchCassandra({ join: own.node, host: "127.0.0.2", dataCenter: "south", settings });
    const everywhere = `ALTER KEYSPACE ${own.keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', 'north': 1, 'south': 1}`;
    // The first node hears of the second by gossip.
    await vi.waitFor(() => own.run(everywhere), { timeout: 30_000, interval: 500 });
    return {
      ...own,
      other,
      async [Symbol.asyncDispose]() {
        await other[Symbol.asyncDispose]();
        await own[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await own[Symbol.asyncDispose]();
    throw error;
  }
}

const long = { timeout: 120_000 };

/** Calls `after` once so many operations were handed out. */
function interrupted(source: Source, count: number, after: () => Promise<void>): Source {
  let left = count;
  return Object.assign(Object.create(source) as Source, {
    discover: source.discover.bind(source),
    plan: source.plan.bind(source),
    resume: source.resume.bind(source),
    lookup: source.lookup.bind(source),
    async *read(...how: Parameters<Source["read"]>) {
      for await (const operation of source.read(...how)) {
        if (--left === 0) await after();
        yield operation;
      }
    },
  });
}

await describeWith(startTwoNodes, "a cluster of two data centres", (server: TwoNodes) => {
  test("a range full of tombstones is halved until it passes, and read once", long, async () => {
    await server.run("CREATE TABLE graves (id int PRIMARY KEY, v text)");
    const rows = Array.from({ length: 6_000 }, (_, id) => [id, "v"]);
    await server.load("INSERT INTO graves (id, v) VALUES (?, ?)", rows);
    await server.runAll(
      "DELETE FROM graves WHERE id = ?",
      rows.filter(([id]) => (id as number) % 10 !== 0).map(([id]) => [id]),
    );
    await using source = await openCassandra(server, { changes: "full" });
    const pass = await passOver(source, await tableNamed(source, "graves"));
    const ids = (await rowsOfPass(source, pass)).map((row) => row["id"]);
    expect(ids.length).toBe(600);
    expect(new Set(ids).size).toBe(600);
  });

  test.each(["fast", "independent"] as const)(
    "tombstones right behind a checkpoint that another process left (%s path)",
    long,
    async (path) => {
      const name = `behind_${path}`;
      await server.run(`CREATE TABLE ${name} (id int PRIMARY KEY, v text)`);
      const rows = Array.from({ length: 4_000 }, (_, id) => [id, "v"]);
      await server.load(`INSERT INTO ${name} (id, v) VALUES (?, ?)`, rows);
      const tokens = await server.run(`SELECT id, token(id) AS at FROM ${name}`);
      const inOrder = tokens.map((row) => row["id"] as number);
      await server.runAll(
        `DELETE FROM ${name} WHERE id = ?`,
        inOrder.slice(100, 3_990).map((id) => [id]),
      );
      await using source = await openCassandra(server, { changes: "full" });
      const pass = await passOver(source, await tableNamed(source, name));
      const how = { ...reading, path };
      const split = {
        ...pass.splits[0]!,
        work: { tokens: [String(-(2n ** 63n)), String(2n ** 63n - 1n)], window: null },
      };
      const checkpoints: Json[] = [];
      const first = async (): Promise<void> => {
        for await (const operation of source.read(pass, split, null, how)) {
          if (operation.kind !== "checkpoint") continue;
          checkpoints.push(operation.state);
          return;
        }
      };
      await first();
      const rest = await rowsOfPass(source, { ...pass, splits: [split] }, how, checkpoints[0]!);
      expect(rest.map((row) => row["id"])).toEqual(inOrder.slice(3_990));
    },
  );

  test("a partition that no read can pass says what to do", long, async () => {
    await server.run("CREATE TABLE deep (id int, seq int, v text, PRIMARY KEY (id, seq))");
    const rows = Array.from({ length: 2_000 }, (_, seq) => [1, seq, "v"]);
    await server.load("INSERT INTO deep (id, seq, v) VALUES (?, ?, ?)", rows);
    await server.runAll(
      "DELETE FROM deep WHERE id = ? AND seq = ?",
      rows.slice(500, 1_500).map(([id, seq]) => [id, seq]),
    );
    await using source = await openCassandra(server, { changes: "full" });
    const pass = await passOver(source, await tableNamed(source, "deep"));
    await expect(rowsOfPass(source, pass)).rejects.toMatchObject({
      code: "READ_TIMEOUT",
      // A look-up goes by this word.
      message: expect.stringMatching(/tombstone/i),
      hint: expect.stringContaining("tombstones"),
    });
  });

  test("a partition wider than a batch comes in many batches, resumable inside", long, async () => {
    await server.run("CREATE TABLE wide (id int, seq int, v blob, PRIMARY KEY (id, seq))");
    const big = Buffer.alloc(4_096, 7);
    await server.runAll(
      "INSERT INTO wide (id, seq, v) VALUES (?, ?, ?)",
      Array.from({ length: 2_000 }, (_, seq) => [1, seq, big]),
    );
    await using source = await openCassandra(server, { changes: "full" });
    const pass = await passOver(source, await tableNamed(source, "wide"));
    let [rows, checkpoints, resumed] = [0, 0, 0];
    for (const split of pass.splits) {
      for await (const operation of source.read(pass, split, null, reading)) {
        if ("rows" in operation) {
          rows += operation.rows.length;
          expect(rowsBytes(operation.rows)).toBeLessThan(4 * reading.batchBytes + 4_096 * 100);
        } else if (operation.kind === "checkpoint" && ++checkpoints === 5) {
          const before = rows;
          for await (const again of source.read(pass, split, operation.state, reading)) {
            if ("rows" in again) resumed += again.rows.length;
          }
          resumed += before;
        }
      }
    }
    expect(rows).toBe(2_000);
    expect(checkpoints).toBeGreaterThan(20);
    expect(resumed).toBe(2_000);
  });

  test(
    "the other data centre dies in the middle of a sync: ours goes on, and deletes are confirmed by what is left",
    long,
    async () => {
      await server.run("CREATE TABLE lasting (id int PRIMARY KEY, v text)");
      const insert = "INSERT INTO lasting (id, v) VALUES (?, ?)";
      await server.runAll(
        insert,
        Array.from({ length: 3_000 }, (_, id) => [id, `v ${id}`]),
      );
      await using copy = await Copy.make(server);
      const [settings, options] = [{ changes: "writetime", data_center: "north" }, { include: ["lasting"] }];
      const killed = { wrap: (source: Source) => interrupted(source, 3, () => server.other.stop("SIGKILL")) };
      const engine = { batchBytes: 4_096 };
      const first = (await copy.sync(settings, { ...options, ...killed, engine }))["lasting"]!;
      expect(first).toMatchObject({ outcome: "whole", inserted: 3_000 });
      await server.runAll("DELETE FROM lasting WHERE id = ?", [[1], [2], [3]]);
      await server.runAll(insert, [[4, "changed"]]);
      const second = (await copy.sync(settings, options))["lasting"]!;
      expect(second).toMatchObject({ outcome: "whole", updated: 1, deleted: 3 });
      expect(copy.warnings.join("\n")).toContain("rows are confirmed by key at LOCAL_QUORUM");
      expect((await copy.verify(settings, options)).verdict).toBe("CONVERGED");
    },
  );
});
