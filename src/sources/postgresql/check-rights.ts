import type { CheckResult } from "../../protocol/source.ts";
import type { PostgresConnection } from "../../wire/postgres/connection.ts";
import type { CatalogTable } from "./catalog/catalog.ts";

/** Roles of the server that let their members write, or run programs. */
const strongRoles = ["pg_write_all_data", "pg_write_server_files", "pg_execute_server_program"];

const roleSql = `
SELECT rolsuper::text AS superuser, rolcreaterole::text AS createrole, rolreplication::text AS replication,
  (SELECT json_agg(rolname) FROM pg_roles WHERE rolname = ANY ($1::text[]) AND NOT me.rolsuper
    AND pg_has_role(current_user, oid, 'USAGE'))::text AS member
FROM pg_roles me WHERE rolname = current_user`;

/**
 * Warns if the role may do more than it needs. Sessions are read-only, but reading a row may run a function that the owner of
 * a type made (a cast to json); it runs with the rights of this role.
 */
export async function* checkRights(
  connection: PostgresConnection,
  tables: readonly CatalogTable[],
  user: string,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  const [row] = await connection.query(roleSql, [strongRoles], signal);
  const able = [
    ...(row?.["superuser"] === "true" ? ["is a superuser"] : []),
    ...(row?.["createrole"] === "true" ? ["may make roles (CREATEROLE)"] : []),
    ...(row?.["replication"] === "true" ? ["may replicate (REPLICATION)"] : []),
    ...(JSON.parse(row?.["member"] ?? "[]") as string[]).map((role) => `is a member of ${role}`),
  ];
  const writable = tables.filter((table) => table.writable).map(({ name }) => `"${name}"`);
  if (row?.["superuser"] !== "true" && writable.length > 0) {
    const others = writable.length > 3 ? ` and ${writable.length - 3} more` : "";
    able.push(`may write ${writable.slice(0, 3).join(", ")}${others}`);
  }
  if (able.length === 0) return;
  yield {
    name: "rights",
    label: "Rights",
    status: "warning",
    message: `User "${user}" ${able.join(", ")}. Reading needs less: a role of its own with CONNECT, USAGE on the schema and SELECT on the tables.`,
  };
}
