import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Dialect, Session } from "./dialect.ts";
import type { SystemColumns } from "./model.ts";

/** Our own schema in the destination. */
export const bookkeepingSchema = "_headwaters";

/** A string literal. With `standard_conforming_strings`, a backslash is an ordinary character. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A timestamp literal. `iso`: ISO 8601, UTC, with up to six decimals. */
export function timestamp(iso: string): string {
  return `CAST(${literal(iso)} AS timestamp with time zone)`;
}

let temporaries = 0;

/** A new name for a table that lasts as long as its session or its transaction. */
export function temporary({ dialect }: Session, kind: string): string {
  return dialect.temporary(`${kind}_${++temporaries}`);
}

export function systemColumns({ physical }: Dialect, prefix: string): SystemColumns {
  const named = (suffix: string): string => physical(`${prefix}_${suffix}`);
  return { synced: named("synced"), deleted: named("deleted"), id: named("id") };
}

/** The name of a table's copy, by the configuration. */
export function copyName(context: Pick<DestinationContext, "rename">, id: string): string {
  return Object.hasOwn(context.rename, id) ? context.rename[id]! : id;
}

/** Throws `NAMES_COLLIDE` if a column's name collides with another column, a system column or a hidden column. */
export function checkColumnNames(dialect: Dialect, table: Table, system: SystemColumns): void {
  const rename = `overrides.${table.id}.columns.rename`;
  const reserved = new Set(Object.values(system).map((name: string) => dialect.identity(name)));
  const seen = new Map<string, string>();
  const refuse = (what: string, hint: string): HeadwatersError =>
    new HeadwatersError("NAMES_COLLIDE", `table "${table.id}": ${what}`, { hint });
  for (const { name } of table.columns) {
    const identity = dialect.identity(name);
    const other = seen.get(identity);
    if (dialect.hiddenColumns.has(identity)) {
      throw refuse(
        `column "${name}" has the name of a column that ${dialect.title} gives every table`,
        `Give it another name by ${rename}, or leave it out by columns.exclude.`,
      );
    }
    if (reserved.has(identity)) {
      throw refuse(
        `column "${name}" has the name of a system column`,
        `Set systemColumnPrefix to another prefix, or give the column another name: ${rename}.`,
      );
    }
    if (other !== undefined) {
      throw refuse(
        dialect.collision(other, name),
        `Give one of them another name by ${rename}, or leave it out by columns.exclude.`,
      );
    }
    seen.set(identity, name);
  }
}

/** A short name for several parts: equal parts give an equal name. */
export function digestName(...parts: readonly string[]): string {
  return createHash("md5").update(parts.join("\n")).digest("hex");
}
