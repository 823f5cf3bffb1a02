import { fail, type Path } from "./failure.ts";
import type { Database, Permissions, Table, User } from "./storage.ts";

/** What a user may do with a table, a database or (`null`) everything: the narrowest grant that says something holds. */
function allows(user: User, right: keyof Permissions, database: Database | null, table: Table | null): boolean {
  for (const scope of [table?.id, database?.id, ""]) {
    const granted = scope === undefined ? undefined : user.grants.get(scope)?.[right];
    if (granted !== undefined) return granted;
  }
  return false;
}

export function demand(
  user: User,
  right: keyof Permissions,
  database: Database | null,
  table: Table | null,
  path: Path,
): void {
  if (allows(user, right, database, table)) return;
  throw fail("permission", `User \`${user.name}\` does not have the required \`${right}\` permission.`, path);
}
