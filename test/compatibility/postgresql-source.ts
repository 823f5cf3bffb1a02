import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { postgres } from "../fixtures/warehouses/connections.ts";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import { copyOf, fixture, live, type Place, type Restore, type Restored } from "./restored.ts";
import { configure, run, verify } from "./suite.ts";
import { sorted, type Texts } from "./values.ts";

const slow = { timeout: 240_000 };

/** The database that was read when the fixture was made. */
export interface OldOrigin {
  readonly server: string;
  readonly database: string;
  readonly schema: string;
  readonly oids: Readonly<Record<string, number>>;
}

const column = (
  name: string,
  kind: "LONG" | "INT" | "STRING" | "BOOLEAN" | "UTC_DATETIME" | "NAIVE_DATE" | "JSON",
) => ({
  name,
  type: { kind },
  nullable: true,
});

const places: Readonly<Record<string, Place>> = {
  readings: {
    schema: "origin",
    table: "readings",
    columns: [
      column("id", "LONG"),
      column("note", "STRING"),
      { name: "measure", type: { kind: "DECIMAL", precision: 12, scale: 3 }, nullable: true },
      column("updated_at", "UTC_DATETIME"),
    ],
  },
  devices: {
    schema: "origin",
    table: "active devices",
    columns: [
      column("id", "INT"),
      column("name", "STRING"),
      column("active", "BOOLEAN"),
      column("tags", "JSON"),
      column("updated_at", "UTC_DATETIME"),
    ],
  },
  notes: { schema: "origin", table: "notes", columns: [column("text", "STRING"), column("at", "NAIVE_DATE")] },
};

/** As the program makes it of a source's scope and a table: what it stands for must not change. */
function fingerprint(scope: object, table: string, options: readonly object[]): string {
  const parts = [scope, table, ...options];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/**
 * What must be replaced in a table's state so that it tells of another database with the same rows: its server, and the
 * table's oid. Both are of the machine, and other ones in each run.
 */
export async function replacements(
  origin: PostgresqlServer,
  { server, database, schema, oids }: OldOrigin,
  table: string,
  options: readonly object[],
): Promise<readonly (readonly [from: string, to: string])[]> {
  const [found] = await runSql<{ oid: number }>(
    origin.connectionString,
    `SELECT oid::int FROM pg_class WHERE oid = '${table}'::regclass`,
  );
  const now = { server: `${origin.host}:${origin.port}`, database: origin.database, schema };
  return [
    [fingerprint({ server, database, schema }, table, options), fingerprint(now, table, options)],
    [`"identity":"${oids[table]}"`, `"identity":"${found!.oid}"`],
  ];
}

/** Lets the state in a warehouse tell of another database with the same rows. */
async function moveTo(restored: Restored, origin: PostgresqlServer, old: OldOrigin): Promise<void> {
  for (const table of Object.keys(old.oids)) {
    const options = table === "devices" ? [{ filter: "active", rename: "active devices" }] : [];
    for (const [from, to] of await replacements(origin, old, table, options)) {
      const [kept] = await restored.query(
        `SELECT count(*)::VARCHAR AS n FROM (SELECT state AS s FROM _headwaters.tables UNION ALL SELECT pass FROM _headwaters.passes) x
          WHERE s LIKE '%${from}%'`,
      );
      expect(kept!["n"], `${table}: ${from}`).toBe("1");
      await restored.change(
        `UPDATE _headwaters.tables SET state = replace(state, '${from}', '${to}') WHERE connection = 'postgres'`,
      );
      await restored.change(
        `UPDATE _headwaters.passes SET pass = replace(pass, '${from}', '${to}') WHERE connection = 'postgres'`,
      );
    }
  }
}

async function rowsOfOrigin(origin: PostgresqlServer, table: string): Promise<readonly Texts[]> {
  const { columns } = places[table]!;
  const list = columns.map(({ name }) => `${name}::text`).join(", ");
  const where = table === "devices" ? " WHERE active" : "";
  const utc = "SET TimeZone = 'UTC'";
  return sorted(
    await runSql<Record<string, string>>(origin.connectionString, `${utc}; SELECT ${list} FROM ${table}${where}`),
  );
}

interface Summary {
  readonly run?: { readonly tables: readonly { table: string; passes: readonly string[]; rowsRead: number }[] };
}

async function sync(
  restored: Restored,
): Promise<Readonly<Record<string, { passes: readonly string[]; rowsRead: number }>>> {
  const { stdout } = await run(restored, "sync", "postgres", "--json");
  const { run: record } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Summary;
  return Object.fromEntries(record!.tables.map(({ table, passes, rowsRead }) => [table, { passes, rowsRead }]));
}

async function expectEqual(restored: Restored, origin: PostgresqlServer): Promise<void> {
  for (const [table, place] of Object.entries(places))
    expect(live(await copyOf(restored, place)), table).toEqual(await rowsOfOrigin(origin, table));
}

/** The copy of a real database goes on from where another version left it. */
export function postgresqlSourceSuite(restore: Restore, server: PostgresqlServer, folder: string): void {
  test("a copy of PostgreSQL goes on from the last row that it has", slow, async () => {
    await using restored = await restore();
    await using origin = await server.createDatabase();
    await runSql(
      origin.connectionString,
      await readFile(new URL("../fixtures/warehouses/origin.sql", import.meta.url), "utf8"),
    );
    await moveTo(restored, origin, JSON.parse(await fixture(`${folder}/origin.json`)) as OldOrigin);
    await configure(restored, "postgres", postgres(restored.destination, origin));
    const before = await copyOf(restored, places["readings"]!);
    const half = before.length;
    expect(half).toBeGreaterThan(50);
    expect(half).toBeLessThan(390);
    const first = await sync(restored);
    expect(first["readings"]!.passes).toEqual(["full", "window", "keys"]);
    // The rest of the pass, and one sweep over all rows that heals it.
    expect(first["readings"]!.rowsRead).toBe(400 - half + 400);
    expect(first["devices"]!.passes[0]).toBe("window");
    expect(first["devices"]!.passes).not.toContain("full");
    expect(first["notes"]!.passes).toEqual(["full"]);
    await expectEqual(restored, origin);
    const after = await copyOf(restored, places["readings"]!);
    expect(after).toEqual(expect.arrayContaining([...before]));
    await verify(restored, "postgres");

    await runSql(
      origin.connectionString,
      `UPDATE readings SET note = 'changed', updated_at = now() WHERE id = 7;
        DELETE FROM readings WHERE id = 8;
        INSERT INTO devices VALUES (61, 'new', true, '{}', now());
        DELETE FROM devices WHERE id = 1;
        INSERT INTO notes VALUES ('new', NULL)`,
    );
    await run(restored, "sync", "postgres", "--sweep");
    await expectEqual(restored, origin);
    await verify(restored, "postgres");
  });
}
