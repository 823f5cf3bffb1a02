import { expect, test } from "vitest";
import { describeWith } from "../servers/require.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { Workplace } from "./program.ts";

const kills = 24;
/** Then a new copy begins, so that first passes are cut as often as later ones. */
const killsPerCopy = 6;
const slow = { timeout: 600_000 };

/** Commits often, so that there is much to be cut between. */
const often = { commitInterval: "20ms", batchSize: "64KB", deletes: "each_sync" };

await describeWith(startPostgresql, "a process that is killed", (server) => {
  test("loses no row and doubles none, whenever that is, while the source goes on changing", slow, async () => {
    await using place = await Workplace.make(server);
    const { host, port, user, password, database } = server;
    const source = { type: "yugabytedb", host, port, user, password, database };
    const copies = ["timing", ...Array.from({ length: kills / killsPerCopy }, (_, copy) => `copy-${copy}`)];
    const connections = copies.map(
      (name) => [name, { source, destination: `duckdb:${name}.duckdb`, ...often }] as const,
    );
    await place.write("headwaters.yaml", { connections: Object.fromEntries(connections) });
    const sql = (text: string): Promise<unknown> => runSql(server.connectionString, text);
    await sql(`
      CREATE TABLE readings (id bigint PRIMARY KEY, device text NOT NULL, value numeric(10,2), note text, updated_at timestamptz);
      INSERT INTO readings SELECT i, 'device ' || i % 50, i / 7.0, repeat('x', i % 90), now() - interval '1 day' FROM generate_series(1, 120000) i;
      CREATE TABLE events (at timestamptz, what text);
      INSERT INTO events SELECT now(), 'event ' || i % 300 FROM generate_series(1, 3000) i;
      CREATE TABLE tags (name text PRIMARY KEY, kind uuid);
      INSERT INTO tags SELECT md5(i::text), md5((i * 3)::text)::uuid FROM generate_series(1, 20000) i;
      ANALYZE`);
    const whole = await timed(() => place.start(["sync", "timing"]));
    expect(whole.result.code, whole.result.stderr).toBe(0);
    let killed = 0;
    // A kill comes somewhere in the time that a sync takes: later after each kill, earlier where the sync was over first.
    let span = whole.milliseconds;
    for (let round = 0; killed < kills && round < kills * 8; round++) {
      // Changes of every kind, unstamped ones too, between and during the syncs.
      await sql(`
        UPDATE readings SET note = 'round ${round}', updated_at = now() WHERE id % 997 = ${round};
        UPDATE readings SET updated_at = NULL, note = 'no stamp ${round}' WHERE id = ${round + 1};
        DELETE FROM readings WHERE id % 1009 = ${round};
        INSERT INTO readings VALUES (${200_000 + round}, 'new', 1.5, NULL, now());
        INSERT INTO events VALUES (now(), 'round ${round}');
        DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 3);
        UPDATE tags SET kind = NULL WHERE name = md5('${round}')`);
      const copy = `copy-${Math.floor(killed / killsPerCopy)}`;
      const after = Math.round(100 + Math.random() * span);
      const ended = await place.start(["sync", copy, ...(round % 3 === 0 ? ["--full"] : [])], after);
      if (ended.code !== null) expect(ended.code, ended.stderr).toBe(0);
      else killed += 1;
      span *= ended.code === null ? 1.1 : 0.7;
    }
    expect(killed).toBe(kills);
    await place.run("sync", "fresh.duckdb");
    for (const copy of copies.slice(1)) {
      const last = await place.start(["sync", copy]);
      expect(last.code, last.stderr).toBe(0);
      for (const table of ["readings", "events", "tags"]) {
        expect(await place.differences(table, `${copy}.duckdb`, "fresh.duckdb")).toEqual([]);
      }
      const doubled = "SELECT id FROM copy.public.readings GROUP BY id HAVING count(*) > 1 LIMIT 5";
      expect(await place.query(`${copy}.duckdb`, doubled)).toEqual([]);
      const proof = await place.start(["verify", copy]);
      expect([proof.code, proof.stdout]).toEqual([0, expect.stringContaining("CONVERGED")]);
    }
  });
});

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; milliseconds: number }> {
  const began = performance.now();
  const result = await work();
  return { result, milliseconds: performance.now() - began };
}
