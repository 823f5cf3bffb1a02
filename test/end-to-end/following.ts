import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";
import pg from "pg";
import { expect } from "vitest";
import { built } from "../built.ts";
import { seeded } from "../campaigns/random.ts";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import type { Workplace } from "./program.ts";

/** A `headwaters follow` under way. */
export class Follower {
  readonly child: ChildProcess;
  #error = "";
  #lines = "";

  /** `more`: flags. */
  constructor(place: Workplace, connection: string, more: readonly string[] = []) {
    const argv = [built("cli/main.js"), "follow", connection, ...more];
    this.child = spawn(process.execPath, argv, { cwd: place.folder });
    this.child.stdout!.on("data", (chunk: Buffer) => (this.#lines += chunk.toString()));
    this.child.stderr!.on("data", (chunk: Buffer) => (this.#error += chunk.toString()));
  }

  /** What it has written so far. */
  get said(): string {
    return this.#lines + this.#error;
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<{ readonly code: number | null; readonly milliseconds: number }> {
    const began = performance.now();
    const ended = this.child.exitCode === null && this.child.signalCode === null ? once(this.child, "exit") : null;
    this.child.kill(signal);
    await ended;
    return { code: this.child.exitCode, milliseconds: performance.now() - began };
  }
}

/** A source that is written while it is followed, looked at by clients that are not ours. */
export interface WrittenSource {
  readonly tables: readonly string[];
  /** Writes changes of every kind until it is stopped; that resolves to how many transactions it made. */
  write(seed: number): Promise<{ stop(): Promise<number> }>;
  /** Id and name of all rows, as text, by the id. */
  rows(table: string): Promise<unknown>;
  /** Ends sessions of ours. */
  cut(): Promise<void>;
}

const followed = ["plain", "whole", "parts", "numbers"] as const;

export function writtenPostgresql(server: PostgresqlServer): WrittenSource {
  return {
    tables: followed,
    write: (seed) => writeAtRandom(server, seed, 4),
    rows: (table) =>
      runSql(server.connectionString, `SELECT id::text AS id, name FROM ${table} ORDER BY id::text COLLATE "C"`),
    cut: () => cutSessions(server),
  };
}

export const followedTables = `
  CREATE TABLE plain (id int PRIMARY KEY, name text, wide text);
  CREATE TABLE whole (id text PRIMARY KEY, name text); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
  CREATE TABLE low PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (100);
  CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (MAXVALUE);
  CREATE TABLE numbers (id numeric PRIMARY KEY, name text);
  INSERT INTO plain SELECT i, 'n' || i, repeat('x', 3000) FROM generate_series(1, 400) i;
  INSERT INTO whole SELECT i, 'n' || i FROM generate_series(1, 300) i;
  INSERT INTO parts SELECT i, 'n' || i FROM generate_series(1, 200) i;
  INSERT INTO numbers SELECT i, 'n' || i FROM generate_series(1, 200) i`;

/** Writes transactions of every kind, also ones that are rolled back, until it is stopped. */
async function writeAtRandom(
  server: PostgresqlServer,
  seed: number,
  pause: number,
): Promise<{ stop(): Promise<number> }> {
  const { below: pick } = seeded(seed);
  const client = new pg.Client({ connectionString: server.connectionString });
  await client.connect();
  const change = (): string => {
    const table = followed[pick(followed.length)]!;
    const [id, other, value] = [pick(300), pick(300), `v${pick(1e6)}`];
    const numeral = table === "numbers" && pick(10) < 3 ? `${other}.00` : String(other);
    const kind = pick(1_000);
    if (kind < 300) return `INSERT INTO ${table} (id, name) VALUES ('${id}', '${value}') ON CONFLICT DO NOTHING`;
    if (kind < 600) return `UPDATE ${table} SET name = '${value}' WHERE id = '${id}'`;
    if (kind < 750)
      return `UPDATE ${table} SET id = '${numeral}' WHERE id = '${id}' AND NOT EXISTS (SELECT FROM ${table} WHERE id = '${numeral}' AND id <> '${id}')`;
    if (kind < 900) return `DELETE FROM ${table} WHERE id = '${id}'`;
    if (kind < 940) return `UPDATE ${table} SET name = name || '!' WHERE id::text LIKE '%7'`;
    if (kind < 995) return `DELETE FROM ${table} WHERE id = '${other}'`;
    return `TRUNCATE ${table}`;
  };
  const writer = { goesOn: true };
  let transactions = 0;
  const writing = (async () => {
    for (; writer.goesOn; transactions++) {
      await client.query("BEGIN");
      for (let count = 1 + pick(4); count > 0; count--) await client.query(change());
      if (pick(20) === 0) await client.query("SAVEPOINT a; DELETE FROM plain; ROLLBACK TO a");
      await client.query(pick(10) < 8 ? "COMMIT" : "ROLLBACK");
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pick(pause)));
    }
  })();
  writing.catch(() => {});
  return {
    async stop() {
      writer.goesOn = false;
      await writing.finally(() => client.end());
      return transactions;
    },
  };
}

async function cutSessions(server: PostgresqlServer): Promise<void> {
  await runSql(
    server.connectionString,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headwaters' AND datname = current_database()`,
  );
}

/**
 * Follows while the source is written, and is killed, or loses its sessions, at random moments. Then the writer stops, and the
 * copy must equal the source soon. `rowsOfCopy` looks by a client that is not ours.
 */
export async function expectFollowed(
  {
    source,
    place,
    connection,
  }: { readonly source: WrittenSource; readonly place: Workplace; readonly connection: string },
  { kills, seed, span }: { readonly kills: number; readonly seed: number; readonly span: number },
  rowsOfCopy: (table: string) => Promise<unknown>,
): Promise<{ readonly kills: number; readonly cuts: number; readonly transactions: number }> {
  const random = seeded(seed);
  const writer = await source.write(seed);
  let [killed, cuts] = [0, 0];
  try {
    while (killed < kills) {
      const follower = new Follower(place, connection);
      const [wait, cut] = [300 + random.below(span), random.below(5) === 0];
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (cut) {
        await source.cut();
        cuts += 1;
        await new Promise((resolve) => setTimeout(resolve, random.below(span)));
      }
      expect(follower.child.exitCode, follower.said).toBeNull();
      await follower.end("SIGKILL");
      killed += 1;
    }
  } finally {
    await writer.stop();
  }
  const transactions = await writer.stop();
  const follower = new Follower(place, connection);
  try {
    // A reader that has the file open when it starts would keep it from starting.
    const begins = performance.now() + 40_000;
    while (follower.said === "" && performance.now() < begins) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(follower.said).not.toBe("");
    for (const table of source.tables) {
      const until = performance.now() + 40_000;
      const look = (): Promise<unknown> => rowsOfCopy(table).catch((thrown: unknown) => String(thrown));
      // Rows may go by themselves, when their time to live is over.
      let [rows, copied] = [await source.rows(table), await look()];
      while (!isDeepStrictEqual(copied, rows) && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        [rows, copied] = [await source.rows(table), await look()];
      }
      expect(copied).toEqual(rows);
    }
    const { code, milliseconds } = await follower.end("SIGTERM");
    expect(code, follower.said).toBe(0);
    expect(milliseconds).toBeLessThan(5_000);
  } catch (thrown) {
    throw new Error(`the copy does not follow: ${follower.said}`, { cause: thrown });
  } finally {
    await follower.end("SIGKILL");
  }
  const proof = await place.start(["verify", connection]);
  expect([proof.code, proof.stdout], proof.stderr).toEqual([0, expect.stringContaining("CONVERGED")]);
  return { kills: killed, cuts, transactions };
}
