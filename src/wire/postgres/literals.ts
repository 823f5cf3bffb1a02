import pg from "pg";

/** `a"b` → `"a""b"`. */
export function escapeIdentifier(name: string): string {
  return pg.escapeIdentifier(name);
}

/** `it's` → `'it''s'`; backslashes as `E'…'`. For statements without parameters, such as COPY. */
export function escapeLiteral(text: string): string {
  return pg.escapeLiteral(text);
}

/** `"schema"."name"`. */
export function qualifiedName(schema: string, name: string): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

/** A condition on `pg_locks`: a session of this database has the advisory lock of the bigint $1. */
export const isLock = `locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1::bigint
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`;

/** Asks whether any session of this database has the advisory lock of the bigint $1, as `taken`. */
export const lockTaken = `SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE ${isLock}) AS taken`;
