import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Table } from "../../protocol/table.ts";
import { nativeCode } from "../../net/errors.ts";
import type { Session } from "../sql/dialect.ts";
import { type KeyColumn, keyColumns } from "../sql/stage.ts";
import { keepLastOfCopy } from "./keep-last.ts";
import { keyProbe } from "./keys.ts";
import type { Copy, Stage } from "../sql/model.ts";

/** The prefix of our indexes' names, which tells our indexes from users' indexes. */
export const indexPrefix = "_headwaters_";

/**
 * Up to this number of bytes, a key certainly fits into an index of its columns. A B-tree entry has at most 2,704 bytes
 * (https://www.postgresql.org/docs/15/btree-limits.html), including its headers.
 */
const longestKey = 2_000;

const uniqueViolation = "23505";
const limitExceeded = "54000";
const notNullViolation = "23502";
/** Such as a second primary key, where the user gave the copy one. */
const invalidTableDefinition = "42P16";
const caught: ReadonlySet<string | null> = new Set([
  uniqueViolation,
  limitExceeded,
  notNullViolation,
  invalidTableDefinition,
]);

/** The names of the two possible indexes on a copy's key: a unique one on the columns, or one on their probes. */
function indexNames(table: Table, { relation }: Copy): { readonly columns: string; readonly probes: string } {
  const digest = createHash("sha256")
    .update([relation, ...table.key].join("\n"))
    .digest("hex")
    .slice(0, 12);
  return { columns: `${indexPrefix}key_${digest}`, probes: `${indexPrefix}probe_${digest}` };
}

/** Whether the copy has an index of probes; see `keyProbe`. */
export function isProbed(table: Table, copy: Copy): boolean {
  return copy.indexes.includes(indexNames(table, copy).probes);
}

/**
 * Gives a copy the index that finds its rows: a unique one on the key's columns, which becomes the copy's primary key,
 * or, if a key may be NULL or is too long, one on probes. A copy that has such an index keeps it as it is. Of rows with
 * the same key only the last stays; `distinct`: they throw `KEY_DUPLICATE`. Resolves to the new copy and to the number of
 * removed rows.
 */
export async function ensureKeyIndex(
  session: Session,
  table: Table,
  copy: Copy,
  distinct: boolean,
): Promise<{ readonly copy: Copy; readonly removed: number }> {
  const names = indexNames(table, copy);
  const wanted = new Set([names.columns, names.probes]);
  const others = copy.indexes.filter((name) => !wanted.has(name));
  // These indexes are on an earlier key of the table.
  for (const name of others) await dropIndex(session, copy, name);
  const left = copy.indexes.filter((name) => wanted.has(name));
  if (left.length > 0) return { copy: { ...copy, indexes: left }, removed: 0 };
  const keys = keyColumns(session.dialect, table, copy);
  let removed = 0;
  if (keys.every(({ nullable, type }) => !nullable && type.kind !== "JSON")) {
    const list = keys.map((key) => key.copy).join(", ");
    const create = `CREATE UNIQUE INDEX ${session.dialect.quote(names.columns)} ON ${copy.relation} (${list})`;
    let failure = await attempted(session, create);
    // Building the index is the fastest way to find out whether a key occurs twice.
    if (failure === uniqueViolation) {
      removed = await keepLastOfCopy(session, table, copy, distinct);
      failure = await attempted(session, create);
    }
    if (failure === null) {
      const name = session.dialect.quote(names.columns);
      const add = `ALTER TABLE ${copy.relation} ADD CONSTRAINT ${name} PRIMARY KEY USING INDEX ${name}`;
      // If the user gave the copy another primary key, the unique index does as well.
      if (table.key.length > 0) await attempted(session, add);
      return { copy: { ...copy, indexes: [names.columns] }, removed };
    }
  }
  removed += await keepLastOfCopy(session, table, copy, distinct);
  const made = await createProbes(session, names.probes, keys, copy);
  return { copy: { ...copy, indexes: made }, removed };
}

/** Drops the index of a copy that is about to be filled. Until it is full, several rows may have the same key. */
export async function dropKeyIndex(session: Session, copy: Copy): Promise<Copy> {
  for (const name of copy.indexes) await dropIndex(session, copy, name);
  return { ...copy, indexes: [] };
}

/** Drops the primary key that a column is part of. The index of the present key is made when the pass is prepared. */
export async function releaseColumn(session: Session, copy: Copy, column: string): Promise<void> {
  for (const name of copy.indexes) {
    const columns = await primaryKey(session, copy, name);
    if (columns.includes(session.dialect.physical(column))) await dropIndex(session, copy, name);
  }
}

/** The columns of the primary key that an index makes; empty: it makes none. */
async function primaryKey(session: Session, copy: Copy, index: string): Promise<readonly string[]> {
  const columns = await session.rows(
    `SELECT a.attname AS name FROM pg_constraint c
      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
      WHERE c.conindid = $1::regclass AND c.contype = 'p'`,
    [session.dialect.relation(copy.schema, index)],
  );
  return columns.map(({ name }) => name as string);
}

/** Drops an index of ours. If it makes the primary key, the columns of that key may be NULL afterwards. */
async function dropIndex(session: Session, copy: Copy, name: string): Promise<void> {
  const columns = await primaryKey(session, copy, name);
  if (columns.length === 0)
    return void (await session.run(`DROP INDEX ${session.dialect.relation(copy.schema, name)}`));
  const free = columns.map((column) => `ALTER ${session.dialect.quote(column)} DROP NOT NULL`);
  await session.run(`ALTER TABLE ${copy.relation} DROP CONSTRAINT ${session.dialect.quote(name)}, ${free.join(", ")}`);
}

/** Replaces the index on columns by one on probes if a key in the stage is too long for it. */
export async function makeRoomForKeys(session: Session, table: Table, copy: Copy, stage: Stage): Promise<Copy> {
  const names = indexNames(table, copy);
  const keys = keyColumns(session.dialect, table, copy);
  const long = keys.filter(({ type }) => type.kind === "STRING" || type.kind === "BINARY" || type.kind === "XML");
  if (!copy.indexes.includes(names.columns) || long.length === 0 || table.key.length === 0) return copy;
  const bytes = long.map((key) => `octet_length(${key.stage})`).join(" + ");
  const tooLong = await session.number(
    `SELECT count(*) FROM (SELECT 1 FROM ${stage.relation} WHERE ${bytes} > ${longestKey} LIMIT 1) found`,
  );
  if (tooLong === 0) return copy;
  const made = await createProbes(session, names.probes, keys, copy);
  await dropIndex(session, copy, names.columns);
  return { ...copy, indexes: made };
}

async function createProbes(
  session: Session,
  name: string,
  keys: readonly KeyColumn[],
  copy: Copy,
): Promise<readonly string[]> {
  // An index needs an immutable expression, and the cast of json to text is not immutable in PostgreSQL.
  const probes = keys.filter(({ type }) => type.kind !== "JSON").map((key) => `(${keyProbe(key.copy, key)})`);
  if (probes.length === 0) return [];
  await session.run(`CREATE INDEX ${session.dialect.quote(name)} ON ${copy.relation} (${probes.join(", ")})`);
  return [name];
}

/** Runs a statement that may fail because of the rows, or of what a user made of the copy. Resolves to the SQLSTATE of that error; `null`: success. */
async function attempted(session: Session, sql: string): Promise<string | null> {
  await session.run("SAVEPOINT attempt");
  try {
    await session.run(sql);
    await session.run("RELEASE SAVEPOINT attempt");
    return null;
  } catch (thrown) {
    const code = thrown instanceof HeadwatersError ? nativeCode(thrown.cause) : null;
    if (!caught.has(code)) throw thrown;
    await session.run("ROLLBACK TO SAVEPOINT attempt");
    return code;
  }
}
