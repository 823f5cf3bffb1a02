import type { Table } from "../../protocol/table.ts";
import type { Session } from "../sql/dialect.ts";
import { refuseRepeated } from "../sql/key-duplicate.ts";
import { type KeyColumn, keyColumns, staged, stagedPlace } from "../sql/stage.ts";
import { sameKey } from "./keys.ts";
import { comparable, postgresType } from "./types.ts";
import type { Copy, Stage } from "../sql/model.ts";

/**
 * Removes all but the last of the rows with the same key from a stage. Resolves to the number of removed rows.
 * `distinct`: throws `KEY_DUPLICATE` instead.
 */
export async function keepLast(session: Session, table: Table, stage: Stage, distinct: boolean): Promise<number> {
  const keys = table.key.map((name): KeyColumn => {
    const column = staged(session.dialect, name);
    const nullable = table.columns.find((candidate) => candidate.name === name)?.nullable !== false;
    return { stage: column, copy: column, type: stage.columns.get(name)!, nullable };
  });
  const list = keys.map((key) => comparable(key.stage, key.type)).join(", ");
  const again = keys.map((key) => `(${comparable(key.stage, key.type)})::${postgresType(key.type)} AS ${key.stage}`);
  const grouped = `SELECT ${again.join(", ")}, max(${stagedPlace}) AS last FROM ${stage.relation} GROUP BY ${list} HAVING count(*) > 1`;
  if (distinct) {
    await refuseRepeated(session, table, grouped);
    return 0;
  }
  return session.run(
    `DELETE FROM ${stage.relation} a USING (${grouped}) b
      WHERE ${sameKey(keys, "a", "b", false, "stage")} AND a.${stagedPlace} <> b.last`,
  );
}

/**
 * Removes all but the last of the rows with the same key from a copy. The last row is the one from the newest commit,
 * and within one commit the one with the highest `ctid`. Resolves to the number of removed rows. `distinct`: throws
 * `KEY_DUPLICATE` instead.
 */
export async function keepLastOfCopy(session: Session, table: Table, copy: Copy, distinct: boolean): Promise<number> {
  const keys = keyColumns(session.dialect, table, copy);
  const list = keys.map((key) => comparable(`t.${key.copy}`, key.type)).join(", ");
  if (distinct) {
    const again = keys.map((key) => `(${comparable(`t.${key.copy}`, key.type)}) AS ${key.copy}`).join(", ");
    await refuseRepeated(
      session,
      table,
      `SELECT ${again} FROM ${copy.relation} t GROUP BY ${list} HAVING count(*) > 1`,
    );
    return 0;
  }
  return session.run(
    `DELETE FROM ${copy.relation} WHERE ctid = ANY (ARRAY(
      SELECT spot FROM (SELECT t.ctid AS spot, row_number() OVER (PARTITION BY ${list} ORDER BY age(t.xmin), t.ctid DESC) AS place
        FROM ${copy.relation} t) AS numbered WHERE place > 1))`,
  );
}
