import { test } from "vitest";
import { withoutOurs } from "../servers/scylladb/sides.ts";
import { ScyllaStandIn } from "../servers/scylladb/stand-in.ts";
import { startPostgresql, runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { followedScylla } from "./cdc-source.ts";
import { expectFollowed } from "./following.ts";
import { Workplace } from "./program.ts";

const how = { kills: 6, seed: 1, span: 6_000 };
/** Nothing but the log shows what changed. */
const onlyLog = { commitInterval: "200ms", maxDeleteFraction: 1, deletes: "never", reread: "never" };

await describeWith(
  () => ScyllaStandIn.start(),
  "a CDC log that is followed by a process that is killed",
  (scylla) => {
    test("loses nothing into DuckDB", { timeout: 300_000 }, async () => {
      const source = await followedScylla(scylla);
      await using place = await Workplace.make({ host: "", port: 0, user: "", password: "", database: "" });
      const c = {
        source: { type: "scylladb", ...scylla.settings() },
        destination: "duckdb:c.duckdb",
        schema: "k",
        ...onlyLog,
      };
      await place.write("headwaters.yaml", { connections: { c } });
      const rows = async (table: string): Promise<unknown> =>
        withoutOurs(await place.query("c.duckdb", `SELECT * FROM copy.k.${table} WHERE NOT _headwaters_deleted`));
      await expectFollowed({ source, place, connection: "c" }, how, rows);
    });
  },
);

await describeWith(
  async () => {
    const [scylla, server] = [await ScyllaStandIn.start({ tablets: true }), await startPostgresql()];
    return {
      scylla,
      server,
      async [Symbol.asyncDispose]() {
        await scylla[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
  "a CDC log on tablets that is followed by a process that is killed",
  ({ scylla, server }) => {
    test("loses nothing into PostgreSQL", { timeout: 300_000 }, async () => {
      const source = await followedScylla(scylla);
      await using copies = await server.createDatabase();
      await using place = await Workplace.make(copies);
      const { host, port, user, password, database } = copies;
      const destination = { type: "postgresql", host, port, user, password, database };
      const c = { source: { type: "scylladb", ...scylla.settings() }, destination, schema: "k", ...onlyLog };
      await place.write("headwaters.yaml", { connections: { c } });
      const rows = async (table: string): Promise<unknown> =>
        withoutOurs(
          (await runSql(
            copies.connectionString,
            `SELECT * FROM k.${table} WHERE NOT _headwaters_deleted`,
          )) as readonly Record<string, unknown>[],
        );
      await expectFollowed({ source, place, connection: "c" }, { ...how, seed: 2 }, rows);
    });
  },
);
