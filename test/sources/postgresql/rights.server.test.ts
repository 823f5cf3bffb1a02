import { afterAll, beforeAll, expect, test } from "vitest";
import { definition as postgresql } from "../../../src/destinations/postgresql/index.ts";
import { configuration as destinationConfiguration } from "../../../src/destinations/postgresql/config.ts";
import { fast, independent, never, openSource, passOf, rowsOfPass, tableOf } from "./harness.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";

/** What each planted function does: note that it ran, by every way to write that it can think of. */
const trap = `
  CREATE FUNCTION evil.spring(what text) RETURNS bool LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM set_config('default_transaction_read_only', 'off', false);
    PERFORM set_config('search_path', 'evil, public, pg_catalog', false);
    BEGIN INSERT INTO evil.sprung VALUES (what); EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN SET TRANSACTION READ WRITE; INSERT INTO evil.sprung VALUES (what); EXCEPTION WHEN OTHERS THEN NULL; END;
    RETURN true;
  END $$;`;

/** Functions that a statement without schemas would take before the server's own, for the types that they are made for. */
const names = ["to_json", "lower", "text", "concat", "md5", "json", "jsonb", "replace", "to_char", "num_nulls"];

const planted = `
  CREATE SCHEMA evil;
  CREATE TABLE evil.sprung (what text);
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE TYPE pair AS (a int, b text);
  ${trap}
  ${["public", "evil"]
    .flatMap((schema) => [
      ...["mood", "pair", "text", "int4", "timestamptz", "name", "oid"].flatMap((type) =>
        names.map(
          (name) =>
            `CREATE FUNCTION ${schema}."${name}"(x ${type}) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.spring('${schema}.${name}(${type})'); RETURN 'planted'; END $$;`,
        ),
      ),
      ...["=", "<", ">", ">=", "<="].flatMap((sign) =>
        [
          ["text", "text"],
          ["name", "text"],
          ["name", "name"],
          ["int4", "int4"],
          ["oid", "oid"],
          ["mood", "mood"],
          ["timestamptz", "timestamptz"],
        ].map(
          ([left, right], index) => `
            CREATE FUNCTION ${schema}."operator ${sign} ${index}"(a ${left}, b ${right}) RETURNS bool LANGUAGE plpgsql AS
              $$ BEGIN PERFORM evil.spring('${schema} ${left} ${sign} ${right}'); RETURN true; END $$;
            CREATE OPERATOR ${schema}.${sign} (FUNCTION = ${schema}."operator ${sign} ${index}", LEFTARG = ${left}, RIGHTARG = ${right});`,
        ),
      ),
    ])
    .join("\n")}
  CREATE FUNCTION evil.cast_json(x pair) RETURNS json LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.spring('cast of pair to json'); RETURN '{"cast": true}'; END $$;
  CREATE CAST (pair AS json) WITH FUNCTION evil.cast_json(pair);
  CREATE FUNCTION evil.cast_text(x mood) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.spring('cast of mood to text'); RETURN 'cast'; END $$;
  CREATE CAST (mood AS text) WITH FUNCTION evil.cast_text(mood);
  CREATE FUNCTION public.yb_servers() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.spring('yb_servers'); END $$;
  CREATE TABLE t (m mood, id int, p pair, at text, updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (m, id));
  INSERT INTO t SELECT CASE WHEN i OPERATOR(pg_catalog.%) 2 OPERATOR(pg_catalog.=) 0 THEN 'sad'::mood ELSE 'happy' END, i, ROW(i, 'b')::pair, 'x' FROM generate_series(1, 100) i;
  CREATE VIEW v AS SELECT evil.spring('view') FROM t;`;

await describeWith(startPostgresql, "functions of others (case 23)", (server: PostgresqlServer) => {
  beforeAll(async () => {
    await runSql(server.connectionString, planted);
    // As careless as a server can be: everything of others comes before the server's own.
    await runSql(
      server.connectionString,
      `ALTER DATABASE "${server.database}" SET search_path = evil, public, pg_catalog`,
    );
  });

  afterAll(() => runSql(server.connectionString, "TRUNCATE evil.sprung"));

  async function sprung(): Promise<readonly string[]> {
    const rows = await runSql<{ what: string }>(server.connectionString, "SELECT what FROM evil.sprung");
    return rows.map(({ what }) => what);
  }

  test.each(["copy", "cursor"] as const)("none writes while tables are looked at and read (%s)", async (way) => {
    await using source = await openSource(server, { read: way });
    for await (const _ of source.check(never));
    const table = await tableOf(source, "t");
    expect(table.columns.map(({ name }) => name)).toEqual(["m", "id", "p", "at", "updated_at"]);
    for (const kind of ["full", "keys"] as const) {
      const pass = await passOf(source, table, kind);
      for (const path of [fast, independent]) {
        let rows = 0;
        for (const split of pass.splits) {
          for await (const operation of source.read(pass, split, null, path)) {
            if (!("rows" in operation)) continue;
            const found = operation.rows;
            rows += found.length;
            if (kind !== "keys") continue;
            for (const how of [fast, independent]) {
              let met = 0;
              for await (const looked of source.lookup(table, found, how)) met += looked.length;
              expect(met).toBe(found.length);
            }
          }
        }
        expect(rows).toBe(100);
      }
    }
    expect(await sprung()).toEqual([]);
  });

  test("names of objects have their schemas, whatever path the server sets, and such tables are read again once", async () => {
    await runSql(
      server.connectionString,
      `CREATE TABLE public.named (id int PRIMARY KEY, c regclass, f regprocedure);
      INSERT INTO public.named VALUES (1, 'public.t', 'evil.spring(text)'), (2, 'pg_catalog.pg_class', NULL)`,
    );
    await using source = await openSource(server);
    const table = await tableOf(source, "named");
    for (const path of [fast, independent]) {
      const rows = await rowsOfPass(source, await passOf(source, table), path);
      expect(rows).toEqual([
        [1, "public.t", "evil.spring(text)"],
        [2, "pg_class", null],
      ]);
    }
    // Releases up to 0.1.0 knew only the table by its number.
    expect(table.identity).toMatch(/^\d+ [0-9a-f]{16}$/);
  });

  test("none runs in the sessions of a destination", async () => {
    const { host, port, user, password, database } = server;
    const configuration = destinationConfiguration.parse({ host, port, user, password, database });
    const silent = (): void => {};
    const context = {
      log: { debug: silent, info: silent, warn: silent },
      connection: "c",
      schema: "copies",
      systemColumnPrefix: "_headwaters",
      deletion: "soft",
      rename: {},
    } as const;
    await using warehouse = await postgresql.open(configuration, context, { create: true });
    for await (const _ of warehouse.check(never));
    const lease = await warehouse.acquire({ host: "h", pid: 1, since: "2026-01-01T00:00:00.000Z" });
    expect(await warehouse.holder()).toMatchObject({ host: "h", pid: 1 });
    await using transaction = await warehouse.begin(lease, "2026-01-01T00:00:00.000000Z");
    await transaction.commit([]);
    await warehouse.release(lease);
    expect(await warehouse.holder()).toBeNull();
    expect(await sprung()).toEqual([]);
  });
});
