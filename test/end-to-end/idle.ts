import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import { Follower } from "./following.ts";
import { Workplace } from "./program.ts";

/** What following an idle database came to, while another one of the same server was written. */
export interface Idle {
  readonly keepalives: number;
  /** The most bytes of log that the server kept for the slot, of those that were written meanwhile. */
  readonly retained: number;
  readonly written: number;
  /** The memory of the process after a fifth of the time, and the most of it after that, in bytes. */
  readonly memory: { readonly first: number; readonly most: number };
  /** What it wrote besides its lines of progress. */
  readonly said: string;
}

/** A keepalive of the server: CopyData of 22 bytes that begin with `k`. */
const keepalive = Buffer.from([0x64, 0, 0, 0, 22, 0x6b]);

/**
 * Follows a database in which nothing happens, until so many keepalives have come. `timeout`: the server's, of which a third
 * passes between two keepalives, in milliseconds. On a busy machine a short one ends the session.
 */
export async function followIdle(server: PostgresqlServer, keepalives: number, timeout: number): Promise<Idle> {
  await using database = await server.createDatabase();
  await using place = await Workplace.make(database);
  await runSql(database.connectionString, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
  await runSql(
    database.connectionString,
    `ALTER DATABASE ${database.database} SET wal_sender_timeout = '${timeout}ms'`,
  );
  let came = 0;
  const between = await counting(database, (chunk) => {
    for (let at = chunk.indexOf(keepalive); at >= 0; at = chunk.indexOf(keepalive, at + 1)) came += 1;
  });
  const source = {
    ...{ type: "postgresql", host: "127.0.0.1", port: (between.address() as AddressInfo).port },
    ...{ user: database.user, password: database.password, database: database.database },
    ...{ changes: "stream", sslmode: "disable" },
  };
  await place.write("headwaters.yaml", { connections: { c: { source, destination: "duckdb:c.duckdb" } } });
  const look = async (): Promise<{ readonly retained: number; readonly lsn: number }> => {
    const [row] = await runSql(
      server.connectionString,
      `SELECT coalesce(max(pg_current_wal_lsn() - restart_lsn), 0)::text AS retained, (pg_current_wal_lsn() - '0/0')::text AS lsn
       FROM pg_replication_slots WHERE database = '${database.database}'`,
    );
    return { retained: Number(row!["retained"]), lsn: Number(row!["lsn"]) };
  };
  const follower = new Follower(place, "c");
  try {
    const memoryNow = (): number =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${follower.child.pid}/status`, "utf8"))![1]) * 1_024;
    let [retained, first, most] = [0, 0, 0];
    const { lsn: began } = await look();
    const isEnough = (): boolean => came >= keepalives;
    while (!isEnough()) {
      if (follower.child.exitCode !== null) throw new Error(`it ended: ${follower.said}`);
      await runSql(server.connectionString, "SELECT pg_logical_emit_message(false, 'x', repeat('x', 20000))");
      await new Promise((resolve) => setTimeout(resolve, 100));
      retained = Math.max(retained, (await look()).retained);
      const memory = memoryNow();
      if (first === 0 && came > keepalives / 5) first = memory;
      if (first > 0) most = Math.max(most, memory);
    }
    const { lsn: ended } = await look();
    return { keepalives: came, retained, written: ended - began, memory: { first, most }, said: follower.said };
  } finally {
    await follower.end("SIGTERM");
    between.close();
  }
}

/** Stands before a server, and looks at all that comes from it. */
async function counting(
  { host, port }: Pick<PostgresqlServer, "host" | "port">,
  look: (chunk: Buffer) => void,
): Promise<Server> {
  const between = createServer((client) => {
    const behind = connect(port, host);
    for (const [from, to] of [[client, behind] as const, [behind, client] as const]) {
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
    client.pipe(behind).on("data", look).pipe(client);
  });
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  return between;
}
