import { definition } from "../../../src/sources/postgresql/index.ts";
import type { SourceHarness } from "../../../src/testing/source-checks.ts";
import type { PostgresqlServer } from "../../servers/postgresql.ts";
import { openSource, session, sql } from "./harness.ts";

/** The source suite's tables, on a PostgreSQL. */
export function things(server: PostgresqlServer): SourceHarness {
  return {
    capabilities: definition.capabilities,
    open: () => openSource(server, { lag: "5" }),
    async create(name) {
      await sql(
        server,
        `DROP TABLE IF EXISTS ${name}; CREATE TABLE ${name} (id bigint PRIMARY KEY, name text, updated_at timestamptz)`,
      );
    },
    async put(name, things) {
      const client = await session(server);
      try {
        await client.query(
          `INSERT INTO ${name} SELECT * FROM unnest($1::bigint[], $2::text[], $3::timestamptz[])
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at`,
          [
            things.map((thing) => thing.id),
            things.map((thing) => thing.name),
            things.map((thing) => thing.updatedAt?.toISOString() ?? null),
          ],
        );
      } finally {
        await client.end();
      }
    },
    async remove(name, ids) {
      await sql(server, `DELETE FROM ${name} WHERE id IN (${ids.join(", ")})`);
    },
    async drop(name) {
      await sql(server, `DROP TABLE ${name}`);
    },
  };
}
