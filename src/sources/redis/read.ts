import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { PassKind, Split } from "../../protocol/pass.ts";
import type { Reading } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { readEntriesIndependently } from "./entries/independent.ts";
import { readEntries } from "./entries/read.ts";
import { readKeysIndependently } from "./keys/independent.ts";
import { readKeys } from "./keys/read.ts";
import { isKeyKind, type Kind } from "./kinds.ts";
import type { ReadContext } from "./read-context.ts";
import { cursorOf, workOf } from "./work.ts";

/** Reads a split from where `state` says. `now`: the server's clock, in milliseconds since 1970. */
export function readSplit(
  context: ReadContext,
  {
    kind: pass,
    table,
    of,
    split,
  }: { readonly kind: PassKind; readonly table: Table; readonly of: Kind; readonly split: Split },
  state: Json,
  now: number,
  how: Reading,
): AsyncGenerator<Operation> {
  const [work, cursor] = [workOf(split), cursorOf(state)];
  if (how.path === "independent") {
    return isKeyKind(of)
      ? readKeysIndependently(context, table, of, work, cursor, now, how)
      : readEntriesIndependently(context, table, of, work, cursor);
  }
  return isKeyKind(of)
    ? readKeys(context, table, of, pass, work, cursor, now, how)
    : readEntries(context, table, of, pass, work, cursor, how);
}
