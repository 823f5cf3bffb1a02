import pg from "pg";

/** `a"b` → `"a""b"`. */
export function escapeIdentifier(name: string): string {
  return pg.escapeIdentifier(name);
}

/** `it's` → `'it''s'`; backslashes as `E'…'`. For statements that take no parameters, as COPY. */
export function escapeLiteral(text: string): string {
  return pg.escapeLiteral(text);
}

/** `"schema"."name"`. */
export function qualifiedName(schema: string, name: string): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}
