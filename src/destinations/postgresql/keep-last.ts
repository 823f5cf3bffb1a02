import type { Table } from "../../protocol/table.ts";
import type { Copy } from "./copies.ts";
import type { Session } from "./session.ts";
import { keyColumns, sameKey, type Stage, stagedPlace } from "./stage.ts";
import { comparable, postgresType } from "./types.ts";

/** Of rows with one key in a stage only the last stays. */
export async function keepLast(session: Session, table: Table, copy: Copy, stage: Stage): Promise<void> {
  if (table.key.length === 0) return;
  const keys = keyColumns(table, copy);
  const list = keys.map((key) => comparable(key.stage, key.type)).join(", ");
  const again = keys.map((key) => `(${comparable(key.stage, key.type)})::${postgresType(key.type)} AS ${key.stage}`);
  const grouped = `SELECT ${again.join(", ")}, max(${stagedPlace}) AS last FROM ${stage.relation} GROUP BY ${list} HAVING count(*) > 1`;
  await session.run(
    `DELETE FROM ${stage.relation} a USING (${grouped}) b
      WHERE ${sameKey(keys, "a", "b", false, "stage")} AND a.${stagedPlace} <> b.last`,
  );
}

/**
 * Of rows with one key in a copy only the last stays: the one of the youngest commit, and of one commit the one that
 * lies behind the others. Resolves to how many others there were.
 */
export function keepLastOfCopy(session: Session, table: Table, copy: Copy): Promise<number> {
  const keys = keyColumns(table, copy);
  const list = keys.map((key) => comparable(key.copy, key.type)).join(", ");
  return session.run(
    `DELETE FROM ${copy.relation} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY ${list} ORDER BY age(xmin), ctid DESC) AS place
        FROM ${copy.relation}) AS numbered WHERE place > 1))`,
  );
}
