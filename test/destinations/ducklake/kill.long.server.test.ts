import { expect, test } from "vitest";
import { Workplace } from "../../end-to-end/program.ts";
import { runSql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness, lakeServer } from "./harness.ts";

const kills = 12;
/** Two connections write into one lake; a new pair begins after so many kills, so that first passes are cut as well. */
const killsPerPair = 6;
const slow = { timeout: 900_000 };
const rows = 40_000;
/** Of every ten rows one is changed often, and never deleted. */
const steady = rows / 10;

/** Commits often, so that a kill can come between many commits. */
const often = { commitInterval: "20ms", batchSize: "64KB", deletes: "each_sync" };

await describeWith(lakeServer, "a process that writes to a lake and is killed", ({ extensions, server }) => {
  test("loses no row and doubles none, and readers see nothing half", slow, async () => {
    await using harness = await LakeHarness.make({ extensions, server });
    await using place = await Workplace.make(server);
    const { host, port, user, password, database } = server;
    const source = { type: "yugabytedb", host, port, user, password, database };
    const lake = { type: "ducklake", ...harness.settings };
    const names = Array.from({ length: (kills / killsPerPair) * 2 }, (_, index) => `copy_${index}`);
    const connections = names.map((name) => [name, { source, destination: lake, schema: name, ...often }] as const);
    await place.write("headwaters.yaml", { connections: Object.fromEntries(connections) });
    const sql = (text: string): Promise<unknown> => runSql(server.connectionString, text);
    await sql(`
      CREATE TABLE readings (id bigint PRIMARY KEY, device text NOT NULL, value numeric(10,2), note text, updated_at timestamptz);
      INSERT INTO readings SELECT i, 'device ' || i % 50, i / 7.0, repeat('x', i % 90), now() - interval '1 day' FROM generate_series(1, ${rows}) i;
      CREATE TABLE events (at timestamptz, what text);
      INSERT INTO events SELECT now(), 'event ' || i % 300 FROM generate_series(1, 1000) i;
      ANALYZE`);
    // There is nothing to read before the lake is made.
    await (await harness.open())[Symbol.asyncDispose]();
    const whole = new Set<string>();
    const reader = readAlways(harness, whole);
    let killed = 0;
    // A kill comes somewhere in the time that a sync takes: later after each kill, earlier where the sync was over first.
    let span = 10_000;
    for (let round = 0; killed < kills && round < kills * 8; round++) {
      await sql(`
        UPDATE readings SET note = 'round ${round}', updated_at = now() WHERE id % 10 = 3 AND id % 70 = ${(round * 10 + 3) % 70};
        UPDATE readings SET updated_at = NULL, note = 'no stamp ${round}' WHERE id = ${round * 10 + 4};
        DELETE FROM readings WHERE id % 10 <> 3 AND id % 1009 = ${round};
        INSERT INTO readings VALUES (${200_000 + round * 10}, 'new', 1.5, NULL, now());
        INSERT INTO events VALUES (now(), 'round ${round}');
        DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 3)`);
      const pair = Math.floor(killed / killsPerPair) * 2;
      const both = names.slice(pair, pair + 2);
      const after = Math.round(500 + Math.random() * span);
      const flags = round % 3 === 0 ? ["--full"] : [];
      const ended = await Promise.all(both.map((name) => place.start(["sync", name, ...flags], after)));
      for (const [index, { code, stderr }] of ended.entries()) {
        if (code === null) killed += 1;
        else {
          expect(code, stderr).toBe(0);
          whole.add(both[index]!);
        }
      }
      span *= ended.every(({ code }) => code === null) ? 1.2 : 0.7;
    }
    expect(killed).toBeGreaterThanOrEqual(kills);
    const fresh = await place.run("sync", "duckdb:fresh.duckdb");
    expect(fresh.code, fresh.stderr).toBe(0);
    for (const name of names) {
      const last = await place.start(["sync", name]);
      expect(last.code, last.stderr).toBe(0);
      whole.add(name);
    }
    expect(await reader.stop()).toEqual([]);
    for (const name of names) expect(await differences(harness, place.folder, name)).toEqual([]);
    const proof = await place.start(["verify", names[0]!]);
    expect([proof.code, proof.stdout]).toEqual([0, expect.stringContaining("CONVERGED")]);
  });
});

/** Reads all the while, as another process would; what it must never see is gathered. */
function readAlways(harness: LakeHarness, whole: ReadonlySet<string>): { stop(): Promise<readonly unknown[]> } {
  const wrong: unknown[] = [];
  let reads = 0;
  const stop = new AbortController();
  const poll = harness.using(async (query) => {
    while (!stop.signal.aborted) {
      for (const name of [...whole]) {
        const [seen] = await query(
          `SELECT count(*)::INTEGER AS rows, count(DISTINCT id)::INTEGER AS ids, count(*) FILTER (id % 10 = 3)::INTEGER AS steady
            FROM copy.${name}.readings WHERE NOT _headwaters_deleted`,
        );
        reads += 1;
        if (seen!["rows"] !== seen!["ids"] || seen!["steady"] !== steady) wrong.push({ name, ...seen });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  return {
    async stop() {
      stop.abort();
      await poll;
      expect(reads).toBeGreaterThan(20);
      return wrong;
    },
  };
}

/** Rows by which a copy in the lake and a fresh one in DuckDB differ, system columns aside. */
async function differences(harness: LakeHarness, folder: string, name: string): Promise<readonly unknown[]> {
  return harness.using(async (query) => {
    await query(`ATTACH '${folder}/fresh.duckdb' AS fresh (READ_ONLY)`);
    const found: unknown[] = [];
    for (const table of ["readings", "events"]) {
      const all = (of: string): string =>
        `SELECT * EXCLUDE (_headwaters_synced, _headwaters_deleted) FROM ${of}.${table} WHERE NOT _headwaters_deleted`;
      const [copy, fresh] = [all(`copy.${name}`), all("fresh.public")];
      found.push(
        ...(await query(
          `(SELECT 'only in the copy' AS what, * FROM (${copy} EXCEPT ALL ${fresh}))
            UNION ALL (SELECT 'only in the fresh one', * FROM (${fresh} EXCEPT ALL ${copy})) LIMIT 10`,
        )),
      );
    }
    await query("DETACH fresh");
    return found;
  });
}
