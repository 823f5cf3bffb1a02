import { HeadwatersError } from "../../protocol/errors.ts";
import type { Connection } from "../connection.ts";
import { atDestination, withLease } from "../lease.ts";
import { CommitClock } from "../run/commit-clock.ts";

/**
 * Forgets the state of tables (`null`: of all), so that the next sync reads them fully; `drop` also drops their copies.
 * Resolves to the names. Throws `TABLE_UNKNOWN` for a table that the destination does not have.
 */
export async function reset(
  connection: Pick<Connection, "warehouse">,
  tables: readonly string[] | null,
  drop: boolean,
): Promise<readonly string[]> {
  const { warehouse } = connection;
  return await atDestination(
    withLease(warehouse, async (lease) => {
      const stored = await warehouse.load();
      const known = [
        ...new Set([...stored.tables.keys(), ...stored.passes.flatMap((pass) => pass.tables.map(({ id }) => id))]),
      ];
      const unknown = tables?.find((name) => !known.includes(name));
      if (unknown !== undefined) {
        throw new HeadwatersError("TABLE_UNKNOWN", `the destination has no table "${unknown}"`, {
          hint: known.length === 0 ? "Nothing was synced into it yet." : `It has ${known.join(", ")}.`,
        });
      }
      const names = tables ?? known;
      await using transaction = await warehouse.begin(lease, new CommitClock(stored.lastStamp).next());
      await transaction.reset(names, drop);
      await transaction.commit([]);
      return names;
    }),
  );
}
