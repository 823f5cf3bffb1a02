import type { Changes } from "../protocol/transaction.ts";

export const noChanges: Changes = { inserted: 0, updated: 0, deleted: 0 };

export function addChanges(a: Changes, b: Changes): Changes {
  return { inserted: a.inserted + b.inserted, updated: a.updated + b.updated, deleted: a.deleted + b.deleted };
}
