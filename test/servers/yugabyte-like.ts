import { type PostgresqlServer, runSql } from "./postgresql.ts";

/** Functions that YugabyteDB's documentation calls unsupported, with their arguments; and others that only PostgreSQL has. */
const unsupported = [
  "pg_current_wal_lsn()",
  "pg_current_wal_flush_lsn()",
  "pg_current_wal_insert_lsn()",
  "pg_wal_lsn_diff(pg_lsn, pg_lsn)",
  "pg_control_system()",
  "pg_walfile_name(pg_lsn)",
  "txid_current()",
  "txid_current_snapshot()",
  "pg_logical_emit_message(boolean, text, text)",
  "pg_replication_slot_advance(name, pg_lsn)",
  "pg_logical_slot_peek_binary_changes(name, pg_lsn, integer, text[])",
];

/**
 * A database of PostgreSQL that answers as YugabyteDB documents it, as far as following goes: its version, its view of slots
 * (with a stream of their own, which `standin.remade` changes), `yboutput`, and no function that tells where the log ends.
 */
export async function likeYugabyte(server: PostgresqlServer): Promise<void> {
  const refused = unsupported.map((signature) => {
    const [name = "", given = ""] = signature.replace(")", "").split("(");
    return `ALTER FUNCTION pg_catalog.${signature} RENAME TO of_postgresql_${name};
      CREATE FUNCTION pg_catalog.${name}(${given}) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '${name} is not supported' USING ERRCODE = '0A000'; END $$;`;
  });
  await runSql(
    server.connectionString,
    `SET allow_system_table_mods = on;
     CREATE SCHEMA standin;
     CREATE TABLE standin.remade (times int); INSERT INTO standin.remade VALUES (0);
     ALTER FUNCTION pg_catalog.version() RENAME TO of_postgresql_version;
     CREATE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE AS
       $$ SELECT 'PostgreSQL 15.12-YB-2025.2.0.0-b0 on x86_64-pc-linux-gnu' $$;
     ALTER VIEW pg_catalog.pg_replication_slots RENAME TO of_postgresql_replication_slots;
     CREATE VIEW pg_catalog.pg_replication_slots AS
       SELECT slot_name, 'yboutput'::name AS plugin, slot_type, datoid, database, temporary, active, active_pid, s.xmin, catalog_xmin,
         restart_lsn, confirmed_flush_lsn, md5(concat(slot_name, times)) AS yb_stream_id, 0::int8 AS yb_restart_commit_ht
       FROM pg_catalog.of_postgresql_replication_slots s, standin.remade;
     ALTER FUNCTION pg_catalog.pg_create_logical_replication_slot(name, name, boolean, boolean) RENAME TO of_postgresql_create_slot;
     CREATE FUNCTION pg_catalog.pg_create_logical_replication_slot(slot name, plugin name) RETURNS text LANGUAGE sql AS
       $$ SELECT slot_name::text FROM of_postgresql_create_slot($1, CASE $2 WHEN 'yboutput' THEN 'pgoutput' END, false, false) $$;
     ${refused.join("\n")}`,
  );
}
