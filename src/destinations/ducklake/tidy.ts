import type { DestinationContext } from "../../protocol/destination.ts";
import { kept } from "../sql/kept.ts";
import { literal } from "../sql/names.ts";
import type { Session } from "../duckdb/session.ts";
import { lakeCatalog } from "./storage.ts";

/** A file with fewer bytes than this is small. Merged files soon exceed it, and are then not merged again. */
const smallBytes = 16 << 20;
/**
 * A table's small files are merged when it has this many, because readers open each file. A first pass writes one file
 * for each row group, and a later sync one for each changed table. (Measured, 1 M rows in 10 files: merging them takes
 * 0.75 s of processor time, and the sync takes 4.3; merging after every sync would be too much.)
 */
const manyFiles = 64;

/** Files that only expired snapshots had are removed this long after, since readers may still read them. */
const removedAfter = "INTERVAL 1 DAY";

/** Expires snapshots that are older than so many milliseconds, and removes files that nothing has had for a day. */
export async function expireSnapshots(session: Session, keep: number): Promise<void> {
  const lake = literal(lakeCatalog);
  const older = `now() - to_microseconds(${keep * 1_000})`;
  await session.run(`CALL ducklake_expire_snapshots(${lake}, older_than => ${older})`);
  await session.run(`CALL ducklake_cleanup_old_files(${lake}, older_than => now() - ${removedAfter})`);
}

/** Merges the small files of the connection's tables that have many. Readers and time travel are not affected. */
export async function mergeSmallFiles(session: Session, { connection, log }: DestinationContext): Promise<void> {
  const tables = await session.rows(
    `SELECT schema_name, table_name FROM ${kept(session, "copies", connection)} copies
      JOIN ducklake_table_info(${literal(lakeCatalog)}) info USING (table_name)
      WHERE connection = $1 GROUP BY ALL HAVING max(info.file_count) >= ${manyFiles}`,
    [connection],
  );
  for (const row of tables) {
    const [schema_name, table_name] = [row["schema_name"] as string, row["table_name"] as string];
    const table = `${literal(lakeCatalog)}, ${literal(table_name)}, schema => ${literal(schema_name)}`;
    const small = await session.number(
      `SELECT count(*) FROM ducklake_list_files(${table}) WHERE data_file_size_bytes < ${smallBytes}`,
    );
    if (small < manyFiles) continue;
    await session.run(`CALL ducklake_merge_adjacent_files(${table}, max_file_size => ${smallBytes})`);
    log.debug(`${schema_name}.${table_name}: ${small} small files were merged`);
  }
}
