import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { escapeIdentifier } from "../../../wire/postgres/literals.ts";

/** A table to publish. */
export interface Published {
  readonly relation: string;
  readonly schema: string;
  readonly name: string;
  readonly partitioned: boolean;
}

/**
 * Makes the publication if it is missing, and adds the table to it. Resolves to the identity of the table's place in it:
 * another value means that changes were not published for a while. Throws `CONFIGURATION_INVALID` if the publication leaves
 * changes out, or `PRIVILEGE_MISSING` with the statement for a user with more privileges.
 */
export async function publish(
  connection: PostgresConnection,
  publication: string,
  table: Published,
  signal: AbortSignal,
): Promise<string> {
  const name = escapeIdentifier(publication);
  const found = await findPublication(connection, publication, table, signal);
  const roots = "publish_via_partition_root = true";
  if (found?.has === true && (found.roots || !table.partitioned)) return found.place;
  if (found === null) {
    // Older servers know no partitions here.
    const options = table.partitioned ? ` WITH (${roots})` : "";
    await alter(connection, `CREATE PUBLICATION ${name} FOR TABLE ${table.relation}${options}`, table.name, signal);
  } else {
    if (table.partitioned && !found.roots)
      await alter(connection, `ALTER PUBLICATION ${name} SET (${roots})`, table.name, signal);
    if (!found.has)
      await alter(connection, `ALTER PUBLICATION ${name} ADD TABLE ${table.relation}`, table.name, signal);
  }
  const made = await findPublication(connection, publication, table, signal);
  if (made?.has === true) return made.place;
  throw new HeadwatersError("READ_CONFLICT", `publication: "${publication}" was dropped while it was made`);
}

/** What a publication has about a table; `null`: there is no such publication. */
async function findPublication(
  connection: PostgresConnection,
  publication: string,
  { schema, name: table }: Pick<Published, "schema" | "name">,
  signal: AbortSignal,
): Promise<{ readonly has: boolean; readonly roots: boolean; readonly place: string } | null> {
  const [found] = await connection.query(
    `SELECT (p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate)::text AS whole,
       coalesce(to_jsonb(p) ->> 'pubviaroot', 'false') AS roots,
       EXISTS (
         SELECT FROM pg_publication_tables t WHERE t.pubname = p.pubname AND t.schemaname = $2 AND t.tablename = $3
       )::text AS has,
       p.oid::text || coalesce('/' || r.oid::text, '') || coalesce('/' || (to_jsonb(p) ->> 'pubviaroot'), '') AS place,
       (coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') IS NOT NULL)::text AS partial
     FROM pg_publication p LEFT JOIN (
       pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid AND c.relname = $3
       JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $2
     ) ON r.prpubid = p.oid
     WHERE p.pubname = $1`,
    [publication, schema, table],
    signal,
  );
  if (found === undefined) return null;
  const name = escapeIdentifier(publication);
  const wrong = (what: string, hint: string): HeadwatersError =>
    new HeadwatersError("CONFIGURATION_INVALID", `publication: "${publication}" ${what}`, { hint });
  if (found["whole"] !== "true")
    throw wrong(
      "leaves out some kinds of changes",
      `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate');`,
    );
  if (found["partial"] === "true")
    throw wrong(`has a row filter or a column list for table "${table}"`, "Set publication to another name.");
  return { has: found["has"] === "true", roots: found["roots"] === "true", place: found["place"]! };
}

async function alter(
  connection: PostgresConnection,
  statement: string,
  table: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await connection.simple(`BEGIN READ WRITE; ${statement}; COMMIT`, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    if (connection.inTransaction) await connection.rollback();
    if (!(thrown instanceof HeadwatersError) || nativeCode(thrown.cause) !== "42501") throw thrown;
    throw new HeadwatersError(
      "PRIVILEGE_MISSING",
      `table "${table}": user "${connection.settings.user}" may not publish it: ${thrown.message}`,
      { hint: `Have its owner, who also owns the publication, run: ${statement};`, cause: thrown },
    );
  }
}
