import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";

/** Our own schema in the destination. */
export const bookkeepingSchema = "_headwaters";

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** DuckDB takes names for the same that differ only in the case of ASCII letters. */
export function fold(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Names of the columns that every copy has beside the source's. */
export interface SystemColumns {
  /** UTC, start of the sync that last wrote the row. */
  readonly synced: string;
  readonly deleted: string;
  /** Only of tables without a key: hash of the row and its occurrence. */
  readonly id: string;
}

export function systemColumns(prefix: string): SystemColumns {
  return { synced: `${prefix}_synced`, deleted: `${prefix}_deleted`, id: `${prefix}_id` };
}

/** The name of a table's copy. */
export function copyName(context: Pick<DestinationContext, "rename">, id: string): string {
  return Object.hasOwn(context.rename, id) ? context.rename[id]! : id;
}

/** Throws `NAMES_COLLIDE` where two columns of a table, or one and a system column, would be one for DuckDB. */
export function checkColumnNames(table: Table, system: SystemColumns): void {
  const seen = new Map(Object.values(system).map((name: string) => [fold(name), name]));
  for (const { name } of table.columns) {
    const other = seen.get(fold(name));
    if (other !== undefined) {
      const reserved = (Object.values(system) as string[]).includes(other);
      throw new HeadwatersError(
        "NAMES_COLLIDE",
        reserved
          ? `table "${table.id}": column "${name}" has the name of a system column`
          : `table "${table.id}": columns "${other}" and "${name}" differ only by case, which DuckDB can't tell apart`,
        {
          hint: reserved
            ? `Set systemColumnPrefix to another prefix, or give the column another name: overrides.${table.id}.columns.rename.`
            : `Give one of them another name by overrides.${table.id}.columns.rename, or leave it out by columns.exclude.`,
        },
      );
    }
    seen.set(fold(name), name);
  }
}

/** A short name for something that has several long ones; the same for the same ones. */
export function digestName(...parts: readonly string[]): string {
  return createHash("md5").update(parts.join("\n")).digest("hex");
}
