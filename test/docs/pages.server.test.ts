import { randomBytes } from "node:crypto";
import { createContext, runInContext } from "node:vm";
import { r } from "rethinkdb-ts";
import { runSql, startOwnPostgresql, startPostgresql } from "../servers/postgresql.ts";
import { type RedisServer, startOwnValkey, startValkey } from "../servers/redis.ts";
import { describeWith } from "../servers/require.ts";
import { startRethinkdb } from "../servers/rethinkdb.ts";
import { term } from "../../src/wire/reql/terms.ts";
import { words } from "./pages.ts";
import { runPages, type Stage } from "./run-pages.ts";

const unique = randomBytes(4).toString("hex");

/** The statement of `psql --command "…"`. */
function commandOf(typed: string): string {
  return /(?:-c|--command) "([^"]+)"'?$/.exec(typed)![1]!;
}

await describeWith(
  async () => {
    const server = await startOwnPostgresql();
    return { ...server, shop: await server.createDatabase("shop") };
  },
  "pages for PostgreSQL",
  ({ shop }) => {
    const run = (sql: string): Promise<unknown> => runSql(shop.connectionString, sql);
    const stage: Stage = {
      ...shop,
      async client(input) {
        await run("text" in input ? input.text : commandOf(input.typed));
      },
    };
    const nothing = `DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN DROP OWNED BY reader; DROP ROLE reader; END IF;
      END $$`;
    runPages("postgresql", stage, { reset: () => run(nothing) });
  },
);

await describeWith(startPostgresql, "pages for YugabyteDB", (server) => {
  const reader = `reader_${unique}`;
  runPages(
    "yugabytedb",
    {
      ...server,
      names: { reader, yugabyte: server.database },
      async client(input) {
        await runSql(server.connectionString, "text" in input ? input.text : commandOf(input.typed));
      },
    },
    { last: () => runSql(server.connectionString, `DROP OWNED BY ${reader}; DROP ROLE ${reader}`) },
  );
});

function redisStage(server: RedisServer): Stage {
  const { username, password, database } = server;
  return {
    ...server,
    ...(password === null ? {} : { login: `${username ?? ""}:${encodeURIComponent(password)}@` }),
    names: { "localhost/0": `localhost/${database}` },
    async client(input) {
      const lines = "text" in input ? input.text.split("\n") : [input.typed];
      const commands = lines.filter((line) => line !== "" && !line.startsWith("#"));
      // The first word is the client, as `words` leaves out `headwaters`.
      for (const line of commands) await server.run(...words("text" in input ? `redis-cli ${line}` : line));
    },
  };
}

await describeWith(startOwnValkey, "pages for Redis and Valkey", (server) => runPages("redis", redisStage(server)));
await describeWith(
  () => startValkey(4),
  "pages for DragonflyDB",
  (server) => runPages("dragonflydb", redisStage(server)),
);

await describeWith(startRethinkdb, "pages for RethinkDB", ({ host, port, user, password, run }) => {
  const shop = `shop_${unique}`;
  runPages(
    "rethinkdb",
    {
      host,
      port,
      ...(user === "admin" && password === "" ? {} : { login: `${user}:${encodeURIComponent(password)}@` }),
      names: { shop },
      async client(input) {
        if (!("text" in input)) throw new Error("RethinkDB has no client for a shell");
        const connection = await r.connect({ host, port, user, password });
        const context = createContext({ r });
        try {
          for (const statement of input.text.split(/;\n/).filter((one) => one.trim() !== ""))
            await (runInContext(statement, context) as { run(where: unknown): Promise<unknown> }).run(connection);
        } finally {
          await connection.close();
        }
      },
    },
    { last: () => run(term("DB_DROP", [shop])) },
  );
});
