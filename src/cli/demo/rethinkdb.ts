import { randomBytes } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { explain } from "../../sources/rethinkdb/errors.ts";
import type { ReqlAddress } from "../../wire/reql/address.ts";
import { ReqlConnection } from "../../wire/reql/connection.ts";
import { datum, type Term, term } from "../../wire/reql/terms.ts";
import { counted } from "../../toolkit/figures.ts";
import type { Session } from "../session.ts";
import { counts, document, documents, type Event, events, type TableName } from "./collaboration.ts";
import type { Scenario, ScenarioOptions } from "./scenario.ts";

const tables = Object.keys(counts) as readonly TableName[];
/** The number of documents in one insert. */
const insertRows = 2_000;

/** Starts the collaboration app of the published example, in its own database on the server that the user named. */
export async function startCollaboration({ signal }: Session, { server }: ScenarioOptions): Promise<Scenario> {
  const address = addressOf(server);
  const { host, port, user, password } = address;
  const database = `headwaters_demo_${randomBytes(3).toString("hex")}`;
  const run = async (queries: Iterable<Term>, signal: AbortSignal): Promise<Json[]> => {
    try {
      await using connection = await ReqlConnection.connect(address, signal);
      const answers: Json[] = [];
      for (const query of queries) answers.push(await connection.value(query, {}, signal));
      return answers;
    } catch (thrown) {
      signal.throwIfAborted();
      throw explain(thrown, { host, port, database, username: user });
    }
  };
  await run([term("DB_CREATE", [database])], signal);
  const began = Date.now();
  return {
    where: `Database ${database} was made on ${host}:${port}; it goes when the demo ends.`,
    source: { type: "rethinkdb", host, port, database, username: user, password },
    rows: Object.values(counts).reduce((sum, rows) => sum + rows, 0),
    changes: events,
    query: `SELECT status, count(*) AS projects, (SELECT count(*) FROM ${database}.tasks WHERE NOT _headwaters_deleted) AS tasks
FROM ${database}."PROJECTS"
WHERE NOT _headwaters_deleted
GROUP BY status ORDER BY projects DESC`,
    async fill(signal) {
      await run(filling(database, began), signal);
      return tables.map((table) => `${table} ${counted(counts[table], "document")}`).join(", ");
    },
    async change(signal) {
      const answers = await run(
        events.map((event) => queryOf(event, database, began)),
        signal,
      );
      return answers.map((answer, index) => moved(answer, events[index]!));
    },
    async [Symbol.asyncDispose]() {
      // A user who stops the demo waits for this too.
      await run([term("DB_DROP", [database])], AbortSignal.timeout(60_000));
    },
  };
}

function tableTerm(database: string, table: string): Term {
  return term("TABLE", [term("DB", [database]), table]);
}

function* filling(database: string, now: number): Generator<Term> {
  for (const table of tables) {
    yield term("TABLE_CREATE", [term("DB", [database]), table]);
    const all = documents(table, now);
    for (let first = 0; first < all.length; first += insertRows) {
      const some = datum(all.slice(first, first + insertRows));
      yield term("INSERT", [tableTerm(database, table), some], { durability: "soft" });
    }
  }
}

function queryOf({ table, stored, numbers }: Event, database: string, began: number): Term {
  const from = tableTerm(database, table);
  if (stored === null) {
    const keys = numbers.map((number) => (document(table, number, began) as { readonly id: string }).id);
    return term("DELETE", [term("GET_ALL", [from, ...keys])]);
  }
  const made = numbers.map((number) => stored(number, { began, now: Date.now() }));
  return term("INSERT", [from, datum(made)], { conflict: "replace" });
}

function moved(answer: Json, { what }: Event): number {
  const { inserted, replaced, deleted } = answer as Readonly<Record<string, number>>;
  return { inserted: inserted!, updated: replaced!, deleted: deleted! }[what];
}

/** Parses `rethinkdb://user:password@host:port`. It is required: no registry has a RethinkDB server to start. */
function addressOf(server: string | null): ReqlAddress {
  if (server === null) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      "--server: it is missing; no package registry has a RethinkDB server to start",
      {
        hint: "Write --server rethinkdb://admin@127.0.0.1:28015. The demo makes a database of its own there, and drops it at the end.",
      },
    );
  }
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url?.protocol !== "rethinkdb:" || url.hostname === "") {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      "--server must be an address such as rethinkdb://user:password@host:28015",
    );
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 28015),
    user: decodeURIComponent(url.username) || "admin",
    password: decodeURIComponent(url.password),
    tls: null,
    connectTimeout: 10_000,
    silence: 60_000,
  };
}
