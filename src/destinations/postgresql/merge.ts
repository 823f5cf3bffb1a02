import type { Table } from "../../protocol/table.ts";
import { quotedSystem } from "../sql/copies.ts";
import type { Dialect, Merging } from "../sql/dialect.ts";
import {
  analyze,
  assignments,
  countChanges,
  decision,
  insert,
  insertedColumns,
  insertedValues,
  markedDeleted,
  mergedColumns,
  remove,
  revive,
  rewrite,
} from "../sql/merge.ts";
import { temporary, timestamp } from "../sql/names.ts";
import { keyColumns, keyedSource, stagedPlace } from "../sql/stage.ts";
import { keepLast } from "./keep-last.ts";
import { dropKeyIndex, ensureKeyIndex, isProbed, makeRoomForKeys, releaseColumn } from "./key-index.ts";
import { sameKey } from "./keys.ts";
import type { Copy } from "../sql/model.ts";

/** How rows are found and written in PostgreSQL: by an index on the key, and by their places in the tables. */
export const merging: Merging = {
  release: releaseColumn,
  async prepare(session, mode, table, copy) {
    if (mode === "replace") return copy;
    return mode === "direct" ? dropKeyIndex(session, copy) : (await ensureKeyIndex(session, table, copy, false)).copy;
  },
  async finish(session, table, copy, distinct) {
    const indexed = await ensureKeyIndex(session, table, copy, distinct);
    await analyze(session, copy.relation);
    return indexed;
  },
  keepLast,
  makeRoom: makeRoomForKeys,
  sameKey: found,
  narrow: (dialect, table, copy, stage) => ({
    prefix: "",
    source: keyedSource(dialect, table, stage),
    target: copy.relation,
  }),
  /**
   * One join finds the changes first, as places of rows in the stage and in the copy. Rows are then updated, inserted
   * or deleted by their places. Each statement touches only its own rows, and an update keeps the values of columns
   * that a user added.
   */
  async merge(writing, table, copy, incoming) {
    const { session, stamp, deletion } = writing;
    const { dialect } = session;
    const { synced, deleted } = quotedSystem(dialect, copy);
    const columns = mergedColumns(dialect, incoming.stage, copy);
    const source = keyedSource(dialect, table, incoming.stage);
    const changes = temporary(session, "changes");
    const { what, when } = decision(writing, table, copy, incoming);
    await session.run(
      `CREATE TEMPORARY TABLE ${changes} AS SELECT s.${stagedPlace} AS place, t.ctid AS row, ${what} AS what
        FROM ${source} s LEFT JOIN ${copy.relation} t ON ${found(dialect, table, copy, "s", "t")} WHERE ${when}`,
    );
    await analyze(session, changes);
    const counts = await countChanges(session, changes);
    const matched = `${source} s JOIN ${changes} m ON s.${stagedPlace} = m.place`;
    // The key is compared too, because users may write to the copy. The next pass handles a row that a user moved.
    const here = `t.ctid = m.row AND ${sameKey(keyColumns(dialect, table, copy), "s", "t", false)}`;
    const write = async (): Promise<void> => {
      if (counts.rewritten > 0) {
        const set = assignments(dialect, table, columns);
        const stamped = [...set, `${synced} = ${timestamp(stamp)}`, `${deleted} = false`].join(", ");
        await session.run(
          `UPDATE ${copy.relation} t SET ${stamped} FROM ${matched} WHERE m.what IN (${revive}, ${rewrite}) AND ${here}`,
        );
      }
      if (counts.deleted > 0) {
        const which = `m.what = ${remove} AND ${here}`;
        await session.run(
          deletion === "hard"
            ? `DELETE FROM ${copy.relation} t USING ${matched} WHERE ${which}`
            : `UPDATE ${copy.relation} t SET ${markedDeleted(writing, copy)} FROM ${matched} WHERE ${which}`,
        );
      }
      if (counts.inserted > counts.revived) {
        await session.run(
          `INSERT INTO ${copy.relation} (${insertedColumns(dialect, table, copy, columns)})
            SELECT ${insertedValues(dialect, table, columns, stamp)} FROM ${matched} WHERE m.what = ${insert}`,
        );
      }
    };
    if (counts.inserted + counts.updated + counts.deleted > 0)
      await writing.changing(`JOIN (${matched}) ON ${found(dialect, table, copy, "s", "t")}`, write);
    await session.run(`DROP TABLE ${changes}`);
    return { inserted: counts.inserted, updated: counts.updated, deleted: counts.deleted };
  },
};

/** The condition that rows have the same key, for the index that the copy has. */
function found(dialect: Dialect, table: Table, copy: Copy, s: string, t: string): string {
  return sameKey(keyColumns(dialect, table, copy), s, t, isProbed(table, copy));
}
