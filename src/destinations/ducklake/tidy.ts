import type { DestinationContext } from "../../protocol/destination.ts";
import { kept } from "../sql/kept.ts";
import { literal } from "../sql/names.ts";
import type { Session } from "../duckdb/session.ts";
import { lakeCatalog } from "./storage.ts";

/** A file below this is small, in bytes; merged files grow past it soon, and are then left alone. */
const smallBytes = 16 << 20;
/**
 * So many small files of a table are merged: readers open each of them. A row group of a first pass makes one, a later
 * sync one for each table that changed. (Measured, 1 M rows in 10 files: merging them takes 0.75 s of processor time,
 * where the sync takes 4.3; with every sync that would be too much.)
 */
const manyFiles = 64;

/** Merges the small files of the connection's tables, where there are many. Readers and time travel notice nothing. */
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
