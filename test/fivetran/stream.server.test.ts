import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { definition } from "../../src/sources/postgresql/index.ts";
import { lsnOf } from "../../src/sources/postgresql/stream/lsn.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { PythonClient, type UpdateCall, type Updated } from "./client.ts";
import { serve, type Serving } from "./serving.ts";

const client = await PythonClient.start().catch((error: Error) => error);
const long = { timeout: 180_000 };

await describeWith(
  async () => {
    if (client instanceof Error) throw client;
    return startPostgresql();
  },
  "PostgreSQL's stream under Fivetran",
  (server) => suite(server, client as PythonClient),
);

function suite(shared: PostgresqlServer, python: PythonClient): void {
  let serving: Serving;
  let server: PostgresqlServer;
  let copy: string;

  beforeAll(async () => {
    serving = await serve(definition);
  });

  afterAll(async () => {
    await serving[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    copy = python.newCopy();
    server = await shared.createDatabase();
    await sql(
      `CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT n, 'n' || n FROM generate_series(1, 2000) n`,
    );
    return () => server[Symbol.asyncDispose]();
  });

  const sql = (text: string): Promise<Record<string, unknown>[]> => runSql(server.connectionString, text);

  async function sync(state: string | null, more: Partial<UpdateCall> = {}): Promise<Updated> {
    const { host, port, database, user, password } = server;
    const configuration = { host, port: String(port), database, user, password, changes: "stream" };
    const updated = await python.update(copy, { address: serving.address, configuration, state, ...more });
    expect(updated).toMatchObject({ task: null, warnings: [] });
    return updated;
  }

  async function expectEqual(): Promise<void> {
    const rows = await python.rows(copy, "public.t");
    const copied = rows.map(({ id, name }) => [Number(id![1]), String(name![1])] as const);
    const source = await sql("SELECT id, name FROM t ORDER BY id");
    expect(copied.sort(([a], [b]) => a - b)).toEqual(source.map(({ id, name }) => [id, name]));
  }

  /** Where the server keeps its log from. */
  async function acknowledged(): Promise<bigint> {
    const [row] = await sql(
      "SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE database = current_database()",
    );
    return lsnOf(String(row!["at"]));
  }

  /** The position of the table in a state. */
  function positionIn(state: string | null): bigint {
    return lsnOf(/"lsn":"([0-9A-F]+\/[0-9A-F]+)"/.exec(state!)![1]!);
  }

  test("what a state has is acknowledged by the sync that brings it back, and nothing later", long, async () => {
    const first = await sync(null);
    await expectEqual();
    expect(first.counts).toMatchObject({ upsert: 2_000 });
    const made = await acknowledged();
    expect(made).toBeLessThanOrEqual(positionIn(first.state));

    const change = `UPDATE t SET name = 'b' WHERE id <= 5; DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (5000, 'new')`;
    await sql(change);
    const second = await sync(first.state);
    await expectEqual();
    expect(second.counts).toMatchObject({ upsert: 6, delete: 1, truncate: 0 });
    expect(positionIn(second.state)).toBeGreaterThan(positionIn(first.state));
    expect(await acknowledged()).toBeLessThanOrEqual(positionIn(first.state));

    // Its last state did not reach Fivetran: the same comes again, with what changed since.
    await sql("UPDATE t SET name = 'c' WHERE id = 5; DELETE FROM t WHERE id = 10");
    const again = await sync(first.state);
    await expectEqual();
    expect(again.counts).toMatchObject({ upsert: 6, delete: 2 });
    expect(await acknowledged()).toBeLessThanOrEqual(positionIn(first.state));

    const last = await sync(again.state);
    expect(last.counts).toMatchObject({ upsert: 0, delete: 0 });
    expect(await acknowledged()).toBe(positionIn(again.state));
  });

  test("a first sync that is cut keeps its position until its pass is closed", long, async () => {
    await sql("INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(10000, 40000) n");
    // Slow enough for a checkpoint in the middle of the pass.
    const cut = await sync(null, { messages: 120, pause: 0.1, keep: "checkpointed" });
    expect(cut.ended).toBe(false);
    const planned = positionIn(cut.state);
    await sql("UPDATE t SET name = 'late' WHERE id IN (1, 1500); DELETE FROM t WHERE id IN (2, 1501)");
    const rest = await sync(cut.state);
    await expectEqual();
    expect(positionIn(rest.state)).toBeGreaterThan(planned);
    expect(await acknowledged()).toBeLessThanOrEqual(planned);
    await sql("DELETE FROM t WHERE id = 3");
    await sync(rest.state);
    await expectEqual();
  });
}
