import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import type { Column, Type } from "headwaters";
import pg from "pg";
import { Workplace } from "../end-to-end/program.ts";
import { duckdbExtensions } from "../servers/duckdb-extensions.ts";
import { type PostgresqlServer, runSql } from "../servers/postgresql.ts";
import { normalText, sorted, type Texts } from "./values.ts";

/** The fixture of a version of Headwaters. */
const fixtures = new URL("../fixtures/warehouses/0.1.0/", import.meta.url);

export function fixture(name: string): Promise<string> {
  return readFile(new URL(name, fixtures), "utf8");
}

type Row = Readonly<Record<string, string | null>>;

/** A warehouse of an older version, restored to a place of its own; read by clients that are not ours. */
export interface Restored extends AsyncDisposable {
  readonly place: Workplace;
  /** As a connection names it. */
  readonly destination: unknown;
  /** Settings of its connections that are other than when the fixture was made. */
  readonly settings?: object;
  /** Rows of a query whose columns are text. */
  query(sql: string): Promise<readonly Row[]>;
  /** Statements that change it. */
  change(sql: string): Promise<void>;
  /** A column as text. */
  text(column: string, type: Type): string;
}

export type Restore = () => Promise<Restored>;

/** The file that was written, with the log that a killed process left. */
export async function restoreDuckdb(): Promise<Restored> {
  const place = await emptyPlace();
  await unpack("duckdb", place.folder);
  const path = join(place.folder, "warehouse.duckdb");
  return {
    place,
    destination: "duckdb:warehouse.duckdb",
    query: (sql) => ofDuckdb([`ATTACH '${path}' AS w (READ_ONLY)`, "USE w"], sql),
    change: async (sql) => void (await ofDuckdb([`ATTACH '${path}' AS w`, "USE w"], sql)),
    text: duckdbText,
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

/** Catalog and files. The catalog is told where its files are now. */
export async function restoreDucklake(): Promise<Restored> {
  const place = await emptyPlace();
  execFileSync("tar", ["-xzf", fileURLToPath(new URL("ducklake/lake.tar.gz", fixtures)), "-C", place.folder]);
  const path = join(place.folder, "lake.ducklake");
  await ofDuckdb(
    [`ATTACH '${path}' AS c`],
    `UPDATE c.ducklake_metadata SET value = '${path}.files/' WHERE key = 'data_path'`,
  );
  const { folder: extensions } = await duckdbExtensions();
  const files = await readdir(extensions, { recursive: true });
  const extension = join(
    extensions,
    files.find((file) => file.endsWith("ducklake.duckdb_extension"))!,
  );
  const attach = [`LOAD '${extension}'`, `ATTACH 'ducklake:${path}' AS w`, "USE w"];
  return {
    place,
    destination: { type: "ducklake", catalog: "lake.ducklake", extensions },
    // A commit of a lake takes long.
    settings: { commitInterval: "5s", commitRows: 1_000 },
    query: (sql) => ofDuckdb(attach, sql),
    change: async (sql) => void (await ofDuckdb(attach, sql)),
    text: duckdbText,
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

/** A database of its own, made by the statements of the dump. */
export async function restorePostgresql(server: PostgresqlServer): Promise<Restored> {
  const database = await server.createDatabase();
  const place = await emptyPlace();
  const dump = await readFile(new URL("postgresql/warehouse.sql.gz", fixtures));
  await runSql(database.connectionString, gunzipSync(dump).toString());
  const { host, port, user, password } = database;
  const login = { host, port, user, password, database: database.database };
  return {
    place,
    destination: { type: "postgresql", ...login, sslmode: "disable" },
    query: async (sql) => {
      const client = new pg.Client({ connectionString: database.connectionString });
      await client.connect();
      try {
        await client.query("SET TimeZone = 'UTC'; SET extra_float_digits = 3");
        return (await client.query<Row>(sql)).rows;
      } finally {
        await client.end();
      }
    },
    change: async (sql) => void (await runSql(database.connectionString, sql)),
    text: (column, { kind }) => (kind === "BINARY" ? `encode(${column}, 'hex')` : `${column}::text`),
    async [Symbol.asyncDispose]() {
      await place[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function emptyPlace(): Promise<Workplace> {
  return Workplace.make({ host: "", port: 0, user: "", password: "", database: "" });
}

async function unpack(name: string, folder: string): Promise<void> {
  const from = fileURLToPath(new URL(name, fixtures));
  for (const path of await readdir(from, { recursive: true })) {
    if (!path.endsWith(".gz")) continue;
    const file = join(folder, path.slice(0, -".gz".length));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, gunzipSync(await readFile(join(from, path))));
  }
}

async function ofDuckdb(before: readonly string[], sql: string): Promise<readonly Row[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    for (const statement of ["SET TimeZone = 'UTC'", ...before]) await connection.run(statement);
    return (await connection.runAndReadAll(sql)).getRowObjectsJson() as unknown as Row[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function duckdbText(column: string, { kind }: Type): string {
  return kind === "BINARY" ? `lower(hex(${column}))` : `${column}::VARCHAR`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** What a destination keeps of a name: PostgreSQL cuts those of more than 63 bytes. */
function isName(kept: string, name: string): boolean {
  return kept === name || (Buffer.byteLength(name) > 63 && kept.startsWith(name.slice(0, 50)));
}

/** A copy: where it is, and the columns that it must have. */
export interface Place {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly Column[];
  /** Of the system columns. */
  readonly prefix?: string;
}

/** A row of a copy, with what the system columns say of it. */
export interface Found {
  readonly row: Texts;
  readonly synced: string;
  readonly deleted: boolean;
}

/** All rows of a copy, deleted ones too. */
export async function copyOf(
  restored: Restored,
  { schema, table, columns, prefix = "_headwaters" }: Place,
): Promise<readonly Found[]> {
  const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const names = await restored.query(
    `SELECT column_name AS name FROM information_schema.columns
      WHERE table_schema = ${literal(schema)} AND table_name = ${literal(table)}`,
  );
  const kept = columns.map(({ name }) => {
    const found = names.find((row) => isName(row["name"]!, name))?.["name"];
    if (found === undefined) throw new Error(`the copy ${table} has no column ${name}`);
    return found!;
  });
  const system = [
    `${quoted(`${prefix}_synced`)}::VARCHAR AS synced`,
    `CASE WHEN ${quoted(`${prefix}_deleted`)} THEN 'yes' ELSE 'no' END AS deleted`,
  ];
  const list = columns.map(({ type }, index) => `${restored.text(quoted(kept[index]!), type)} AS c${index}`);
  const rows = await restored.query(
    `SELECT ${[...list, ...system].join(", ")} FROM ${quoted(schema)}.${quoted(table)}`,
  );
  return rows.map((row) => ({
    row: Object.fromEntries(columns.map(({ name, type }, index) => [name, normalText(row[`c${index}`] ?? null, type)])),
    synced: row["synced"]!,
    deleted: row["deleted"] === "yes",
  }));
}

/** The rows that are not deleted. */
export function live(found: readonly Found[]): readonly Texts[] {
  return sorted(found.filter(({ deleted }) => !deleted).map(({ row }) => row));
}
