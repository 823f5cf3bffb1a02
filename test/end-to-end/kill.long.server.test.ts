import { expect, test } from "vitest";
import { describeWith } from "../servers/require.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { type Copies, duckdbCopies } from "./copies.ts";
import { postgresqlCopies } from "./postgresql-copies.ts";
import { Workplace } from "./program.ts";

/** A new copy begins after some kills, so that first passes are cut as often as later ones. */
const killsPerCopy = 6;
const slow = { timeout: 600_000 };

/** Commits often, so that a kill can come between many commits. */
const often = { commitInterval: "20ms", batchSize: "64KB", deletes: "each_sync" };

/** Where copies are kept, and how many syncs into them are killed. */
const destinations: readonly {
  readonly title: string;
  readonly kills: number;
  /** Whether changes are read from the log, by a slot for each copy. */
  readonly streams?: true;
  open(server: PostgresqlServer, place: Workplace): Promise<Copies>;
}[] = [
  { title: "DuckDB", kills: 24, open: async (_server, place) => duckdbCopies(place) },
  { title: "PostgreSQL", kills: 18, open: (server) => postgresqlCopies(server) },
  { title: "DuckDB, from the stream", kills: 18, streams: true, open: async (_server, place) => duckdbCopies(place) },
];

await describeWith(startPostgresql, "a process that is killed", (server) => {
  test.each(destinations)(
    "loses no row of $title and doubles none, whenever that is, while the source goes on changing",
    slow,
    async ({ kills, streams, open }) => {
      await using database = await server.createDatabase();
      await using place = await Workplace.make(database);
      await using copies = await open(server, place);
      const { host, port, user, password } = database;
      const source = { type: "yugabytedb", host, port, user, password, database: database.database };
      const killed = Array.from({ length: kills / killsPerCopy }, (_, copy) => `copy-${copy}`);
      const stream = (name: string) => ({ changes: "stream", slot: `${database.database}_${name.replace("-", "_")}` });
      const sourceOf = (name: string) =>
        streams === true && killed.includes(name) ? { ...source, ...stream(name) } : source;
      const connections = ["timing", "fresh", ...killed].map(
        (name) => [name, { source: sourceOf(name), ...copies.connection(name), ...often }] as const,
      );
      await place.write("headwaters.yaml", { connections: Object.fromEntries(connections) });
      const sql = (text: string): Promise<unknown> => runSql(database.connectionString, text);
      await sql(tables);
      const whole = await timed(() => place.start(["sync", "timing"]));
      expect(whole.result.code, whole.result.stderr).toBe(0);
      {
        await using _watching = copies.watch?.("readings", killed[0]!);
        await kill(place, killed, whole.milliseconds, sql);
      }
      expect((await place.start(["sync", "fresh"])).code).toBe(0);
      for (const copy of killed) {
        const last = await place.start(["sync", copy]);
        expect(last.code, last.stderr).toBe(0);
        for (const table of ["readings", "events", "tags"])
          expect(await copies.differences(table, copy, "fresh")).toEqual([]);
        expect(await copies.doubled("readings", copy, "id")).toEqual([]);
        const proof = await place.start(["verify", copy]);
        expect([proof.code, proof.stdout]).toEqual([0, expect.stringContaining("CONVERGED")]);
      }
    },
  );
});

const tables = `
  CREATE TABLE readings (id bigint PRIMARY KEY, device text NOT NULL, value numeric(10,2), note text, updated_at timestamptz);
  INSERT INTO readings SELECT i, 'device ' || i % 50, i / 7.0, repeat('x', i % 90), now() - interval '1 day' FROM generate_series(1, 120000) i;
  CREATE TABLE events (at timestamptz, what text);
  INSERT INTO events SELECT now(), 'event ' || i % 300 FROM generate_series(1, 3000) i;
  CREATE TABLE tags (name text PRIMARY KEY, kind uuid);
  INSERT INTO tags SELECT md5(i::text), md5((i * 3)::text)::uuid FROM generate_series(1, 20000) i;
  ANALYZE`;

/** Changes of every kind, unstamped ones too. */
const changes = (round: number): string => `
  UPDATE readings SET note = 'round ${round}', updated_at = now() WHERE id % 997 = ${round};
  UPDATE readings SET updated_at = NULL, note = 'no stamp ${round}' WHERE id = ${round + 1};
  DELETE FROM readings WHERE id % 1009 = ${round};
  INSERT INTO readings VALUES (${200_000 + round}, 'new', 1.5, NULL, now());
  INSERT INTO events VALUES (now(), 'round ${round}');
  DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 3);
  UPDATE tags SET kind = NULL WHERE name = md5('${round}')`;

/** Kills syncs into these copies, one copy after the other, with changes before each sync. `span`: what one takes, in ms. */
async function kill(
  place: Workplace,
  copies: readonly string[],
  span: number,
  sql: (text: string) => Promise<unknown>,
): Promise<void> {
  const kills = copies.length * killsPerCopy;
  let killed = 0;
  // A kill comes somewhere in the time that a sync takes: later after each kill, earlier where the sync was over first.
  let within = span;
  for (let round = 0; killed < kills && round < kills * 8; round++) {
    await sql(changes(round));
    const copy = copies[Math.floor(killed / killsPerCopy)]!;
    const after = Math.round(100 + Math.random() * within);
    const ended = await place.start(["sync", copy, ...(round % 3 === 0 ? ["--full"] : [])], after);
    if (ended.code !== null) expect(ended.code, ended.stderr).toBe(0);
    else killed += 1;
    within *= ended.code === null ? 1.1 : 0.7;
  }
  expect(killed).toBe(kills);
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; milliseconds: number }> {
  const began = performance.now();
  const result = await work();
  return { result, milliseconds: performance.now() - began };
}
