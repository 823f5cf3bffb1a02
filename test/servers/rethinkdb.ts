import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Json } from "../../src/protocol/json.ts";
import { ReqlConnection } from "../../src/wire/reql/connection.ts";
import { datum, type Term, term } from "../../src/wire/reql/terms.ts";
import { sharedServer } from "./require.ts";
import { StandIn, type StandInOptions } from "./rethinkdb/server.ts";

/** A database of its own on a server; disposing drops it. */
export interface RethinkDatabase extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The table of this database as a term. */
  table(name: string): Term;
  run(query: Term): Promise<Json>;
  /** In place of one that is there. Resolves when it can be written. */
  createTable(name: string, options?: Readonly<Record<string, Json>>): Promise<void>;
  insert(name: string, documents: readonly Json[]): Promise<void>;
}

/** With a server that only this test uses, so that it may be stopped, frozen and broken. */
export interface OwnRethink extends RethinkDatabase {
  readonly server: StandIn;
}

const signal = new AbortController().signal;
/** Documents of one insert. */
const insertRows = 5_000;

/**
 * A fresh database on the server that all test files share: the one of HEADWATERS_TEST_RETHINKDB
 * (`rethinkdb://user:password@host:port`, of a user who may do everything), else a stand-in that is started once a run.
 */
export async function startRethinkdb(): Promise<RethinkDatabase> {
  const { hostname, port, username, password } = new URL(await sharedServer("rethinkdb"));
  return createDatabase(hostname, Number(port || 28015), decodeURIComponent(username), decodeURIComponent(password));
}

/** A stand-in of its own. It has what no test could ask of a server that others use. */
export async function startOwnRethinkdb(
  options: StandInOptions & { readonly authority?: string } = {},
): Promise<OwnRethink> {
  const server = await StandIn.start(options);
  const tls = options.authority === undefined ? null : { ca: options.authority };
  const database = await createDatabase("127.0.0.1", server.port, "admin", "", tls);
  return { ...database, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function createDatabase(
  host: string,
  port: number,
  user: string,
  password: string,
  tls: { readonly ca: string } | null = null,
): Promise<RethinkDatabase> {
  const database = `test_${randomBytes(6).toString("hex")}`;
  let connection: ReqlConnection | null = null;
  const run = async (query: Term): Promise<Json> => {
    if (connection?.alive !== true) {
      const times = { connectTimeout: 10_000, silence: 60_000 };
      connection = await ReqlConnection.connect({ host, port, user: user || "admin", password, tls, ...times }, signal);
    }
    return connection.value(query, {}, signal);
  };
  const db = term("DB", [database]);
  const table = (name: string): Term => term("TABLE", [db, name]);
  await run(term("DB_CREATE", [database]));
  return {
    host,
    port,
    user: user || "admin",
    password,
    database,
    table,
    run,
    async createTable(name, options) {
      const known = (await run(term("TABLE_LIST", [db]))) as readonly string[];
      if (known.includes(name)) await run(term("TABLE_DROP", [db, name]));
      await run(term("TABLE_CREATE", [db, name], options));
    },
    async insert(name, documents) {
      for (let first = 0; first < documents.length; first += insertRows) {
        const some = documents.slice(first, first + insertRows);
        const result = (await run(term("INSERT", [table(name), datum(some)], { conflict: "replace" }))) as {
          readonly errors: number;
          readonly first_error?: string;
        };
        if (result.errors > 0) throw new Error(result.first_error);
      }
    },
    async [Symbol.asyncDispose]() {
      await run(term("DB_DROP", [database]));
      connection?.destroy();
    },
  };
}

/** Until a condition holds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 1_000) throw new Error("it never came true");
    await wait(5);
  }
}
