import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Plan, Split } from "../../protocol/pass.ts";
import type { Table } from "../../protocol/table.ts";
import { sameType, typeName } from "../../toolkit/types.ts";
import { columnOf, type Shape } from "./catalog/shape.ts";
import { identityOf } from "./discover.ts";
import type { Server } from "./server.ts";
import type { ReadPoint } from "./snapshot/read-point.ts";
import { snapshotOf } from "./snapshot/snapshots.ts";
import type { StreamPosition } from "./stream/position.ts";
import type { Window } from "./work.ts";

/** Throws `TABLE_CHANGED` if the table has changed since `table` was made. */
export function assertFits(table: Table, shape: Shape): void {
  const changed = (what: string): HeadwatersError =>
    new HeadwatersError("TABLE_CHANGED", `table "${table.id}": ${what}`, { hint: "It is planned again." });
  if (table.identity !== identityOf(shape.catalog))
    throw changed("it was dropped and made again, or a type was altered");
  for (const { name, type } of table.columns) {
    const now = columnOf(shape, name).mapping.type;
    if (!sameType(type, now)) throw changed(`column "${name}" was ${typeName(type)} and is ${typeName(now)}`);
  }
  if (table.key.join("\0") !== shape.key.join("\0")) throw changed("its key was changed");
}

/** Whether all splits read the rows of one moment: what a split reads alone, it reads in the order of keys. */
export function isOneSnapshot(snapshot: Json, splits: readonly Split[], { yugabyte }: Server): boolean {
  return snapshotOf(snapshot).mode === "none" ? splits.length <= 1 && !yugabyte : true;
}

export function storageOf(snapshot: Json, table: string): string {
  return (snapshot as { readonly storage?: Readonly<Record<string, string>> }).storage?.[table] ?? "";
}

/** Where the next window of a table starts, and where its stream goes on. */
export function nextOf(table: Table, shape: Shape, point: ReadPoint, stream?: StreamPosition): Json {
  const cursor = cursorOf(table, shape);
  const window = cursor === null ? null : { high: point.cursors[cursor.type]!.next };
  return stream === undefined ? window : { ...window, stream: { ...stream } };
}

/** A table whose read point is taken. */
export interface PlannedPoint {
  readonly table: Table;
  readonly shape: Shape;
  readonly point: ReadPoint;
}

/**
 * The plan's `unseenFrom`: the cursor from which rows may not be committed yet, which is the earliest start of a next
 * window.
 */
export function unseenFrom(planned: readonly PlannedPoint[]): Pick<Plan, "unseenFrom"> {
  const starts = planned.flatMap(({ table, shape, point }) => {
    const cursor = cursorOf(table, shape);
    if (cursor === null) return [];
    const [day, time = "00:00"] = point.cursors[cursor.type]!.next.replace(/\+00$/, "").split(" ");
    return [Date.parse(`${day}T${time}Z`)];
  });
  return starts.length === 0 ? {} : { unseenFrom: new Date(Math.min(...starts)).toISOString() };
}

export function windowOf(table: Table, shape: Shape, point: ReadPoint, previous: Json): Window {
  const cursor = cursorOf(table, shape);
  if (cursor === null) throw new HeadwatersError("DEFECT", `table "${table.id}" has no cursor column for a window`);
  const low = (previous as { readonly high?: string } | null)?.high ?? null;
  return { column: cursor.name, low, high: point.cursors[cursor.type]!.until };
}

function cursorOf(table: Table, shape: Shape): { readonly name: string; readonly type: string } | null {
  if (table.cursor === null) return null;
  return { name: table.cursor, type: columnOf(shape, table.cursor).builtin ?? "" };
}
