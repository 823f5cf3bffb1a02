import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { built } from "../built.ts";
import { PythonClient, type UpdateCall, type Updated } from "../fivetran/client.ts";
import { ServeProcess } from "../fivetran/serve-process.ts";
import { fivetran } from "../fixtures/warehouses/connections.ts";
import { type PostgresqlServer, runSql, startOwnPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { type OldOrigin, replacements } from "./postgresql-source.ts";
import { fixture } from "./restored.ts";

const client = await PythonClient.start().catch((error: Error) => error);

await describeWith(
  async () => {
    if (client instanceof Error) throw client;
    return startOwnPostgresql();
  },
  "Fivetran's states of 0.1.0",
  (server) => suite(server, client as PythonClient),
);

function suite(server: PostgresqlServer, python: PythonClient): void {
  let serving: ServeProcess;
  let old: OldOrigin;

  beforeAll(async () => {
    serving = await ServeProcess.start(process.execPath, [built("cli/main.js"), "serve", "yugabytedb"]);
    old = JSON.parse(await fixture("fivetran/origin.json")) as OldOrigin;
  });

  afterAll(async () => {
    await serving[Symbol.asyncDispose]();
    await python[Symbol.asyncDispose]();
  });

  /** The database that the states tell of. */
  async function restoreOrigin(): Promise<PostgresqlServer> {
    const origin = await server.createDatabase();
    for (const name of ["origin", "fivetran"]) {
      const url = new URL(`../fixtures/warehouses/${name}.sql`, import.meta.url);
      await runSql(origin.connectionString, await readFile(url, "utf8"));
    }
    return origin;
  }

  /** The text of a state, as of a database of today. */
  async function stateOf(name: string, origin: PostgresqlServer, tables: readonly string[]): Promise<string> {
    let text = JSON.stringify(JSON.parse(await fixture(`fivetran/${name}.json`)));
    for (const table of tables) {
      for (const [from, to] of await replacements(origin, old, table, [])) {
        expect(text.split(from).length, `${table}: ${from}`).toBe(2);
        text = text.replace(from, to);
      }
    }
    return text;
  }

  async function sync(
    origin: PostgresqlServer,
    tables: readonly string[],
    copy: string,
    state: string | null,
    { deletes = "never", ...how }: { readonly deletes?: string } & Pick<UpdateCall, "messages" | "keep"> = {},
  ): Promise<Updated> {
    const { address } = serving;
    const selection = { public: Object.fromEntries(tables.map((table) => [table, true])) };
    const call = { address, configuration: { ...fivetran(origin), deletes }, state, selection, ...how };
    const updated = await python.update(copy, call);
    expect(updated).toMatchObject({ code: "OK", task: null, warnings: [] });
    return updated;
  }

  /** Of a copy, and of the source: the rows as texts, by their keys. */
  async function expectEqual(origin: PostgresqlServer, copy: string, table: string, texts: string): Promise<void> {
    const rows = await python.rows(copy, `public.${table}`);
    const found = rows.map((row) => [Number(row["id"]![1]), String(row[texts]![1])] as const);
    const source = await runSql<{ id: string; text: string }>(
      origin.connectionString,
      `SELECT id::text, ${texts} AS text FROM ${table}`,
    );
    const byId = (all: readonly (readonly [number, string])[]) => [...all].sort(([a], [b]) => a - b);
    expect(byId(found), table).toEqual(byId(source.map(({ id, text }) => [Number(id), text])));
  }

  test("a first pass that is open goes on behind the rows that were sent", async () => {
    await using origin = await restoreOrigin();
    const tables = ["notes", "wide"];
    const state = await stateOf("first-open", origin, tables);
    const { wide } = JSON.parse(await fixture("fivetran/first-open-had.json")) as { wide: [number, number][] };
    const had = wide.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
    const copy = python.newCopy();
    // The columns came with the first message of the pass.
    await sync(origin, ["wide"], copy, null, { messages: 1, keep: "all" });
    const first = await sync(origin, tables, copy, state);
    // Rows of splits that were done, or that a checkpoint covers, do not come again; all others do.
    const came = await python.rows(copy, "public.wide");
    expect([...had, ...came.map(({ id }) => Number(id![1]))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 6144 }, (_, index) => index + 1),
    );
    for (const { id, body } of came) {
      expect(body![1]).toBe(createHash("md5").update(String(id![1])).digest("hex").repeat(130));
    }
    expect(first.counts).toEqual({ upsert: 6144 - had.length + 20, update: 0, delete: 0, truncate: 1 });
  });

  test("of a sync that was whole, only what changed is sent", async () => {
    await using origin = await restoreOrigin();
    const tables = ["readings", "devices"];
    const state = await stateOf("ended", origin, tables);
    const copy = python.newCopy();
    await sync(origin, tables, copy, null);
    // The cursor of one does not show its change: it is found by the digest of the row.
    await runSql(
      origin.connectionString,
      `UPDATE readings SET note = 'changed', updated_at = now() WHERE id = 7;
        UPDATE readings SET note = 'changed unseen' WHERE id = 9;
        DELETE FROM readings WHERE id = 8;
        DELETE FROM devices WHERE id IN (1, 2);
        INSERT INTO devices VALUES (61, 'new', true, '{}', now())`,
    );
    const second = await sync(origin, tables, copy, state, { deletes: "each_sync" });
    expect(second.counts).toEqual({ upsert: 3, update: 0, delete: 3, truncate: 0 });
    await expectEqual(origin, copy, "readings", "note");
    await expectEqual(origin, copy, "devices", "name");
    const third = await sync(origin, tables, copy, second.state, { deletes: "each_sync" });
    expect(third.counts).toEqual({ upsert: 0, update: 0, delete: 0, truncate: 0 });
  });

  test("after a sync that broke off, what it had not sent comes", async () => {
    await using origin = await restoreOrigin();
    const tables = ["readings", "devices"];
    const state = await stateOf("broken-off", origin, tables);
    const copy = python.newCopy();
    await sync(origin, tables, copy, null);
    await runSql(
      origin.connectionString,
      `UPDATE readings SET note = 'changed', updated_at = now() WHERE id = 7;
        DELETE FROM devices WHERE id = 1`,
    );
    const second = await sync(origin, tables, copy, state);
    expect(second.counts).toEqual({ upsert: 1, update: 0, delete: 0, truncate: 0 });
    await sync(origin, tables, copy, second.state, { deletes: "each_sync" });
    await expectEqual(origin, copy, "readings", "note");
    await expectEqual(origin, copy, "devices", "name");
  });
}
