import type { Deletion, DestinationContext } from "../protocol/destination.ts";

/** Whether deleted rows of this table are marked or removed. */
export function deletionOf(
  { deletion, deletions = {} }: Pick<DestinationContext, "deletion" | "deletions">,
  table: string,
): Deletion {
  return Object.hasOwn(deletions, table) ? deletions[table]! : deletion;
}
