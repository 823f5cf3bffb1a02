import { HeadwatersError } from "../../protocol/errors.ts";
import type { Table } from "../../protocol/table.ts";
import type { Session } from "./dialect.ts";

/**
 * Throws `KEY_DUPLICATE` if `repeated` has a row: a query for keys that came more than once, in a pass that gives each key
 * once. Its columns are those of the key, in their order.
 */
export async function refuseRepeated(session: Session, table: Table, repeated: string): Promise<void> {
  const [found] = await session.rows(`SELECT * FROM (${repeated}) repeated LIMIT 1`);
  if (found === undefined) return;
  const values = Object.values(found);
  const key = table.key.map((name, place) => `${name} = ${String(values[place])}`).join(", ");
  throw new HeadwatersError(
    "KEY_DUPLICATE",
    `table "${table.id}": two rows of the source have the key ${key} in the copy`,
    {
      hint: "Find these rows in the source, and set a type for the key's columns that keeps them apart, such as STRING.",
    },
  );
}
