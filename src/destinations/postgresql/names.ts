import { createHash } from "node:crypto";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import { escapeIdentifier, qualifiedName } from "../../wire/postgres/literals.ts";

/** Our own schema in the database. */
export const bookkeepingSchema = "_headwaters";

/** What PostgreSQL keeps of a name, in bytes of UTF-8; the rest of a longer one it would drop without a word. */
const longestName = 63;

/** The columns that every table of PostgreSQL has, unseen: https://www.postgresql.org/docs/15/ddl-system-columns.html. */
const hiddenColumns = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);

/** A name as PostgreSQL can have it: a longer one is cut and ends with a hash of the whole. */
export function physicalName(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= longestName) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  let end = longestName - hash.length - 1;
  // Not within a character: those that follow its first byte begin with the bits 10.
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString("utf8", 0, end)}_${hash}`;
}

/** A name as SQL has it. */
export function quoted(name: string): string {
  return escapeIdentifier(physicalName(name));
}

export function relationName(schema: string, name: string): string {
  return qualifiedName(physicalName(schema), physicalName(name));
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
  const named = (suffix: string): string => physicalName(`${prefix}_${suffix}`);
  return { synced: named("synced"), deleted: named("deleted"), id: named("id") };
}

/** The name of a table's copy, as the user wants it; PostgreSQL has its {@link physicalName}. */
export function copyName(context: Pick<DestinationContext, "rename">, id: string): string {
  return Object.hasOwn(context.rename, id) ? context.rename[id]! : id;
}

/** Throws `NAMES_COLLIDE` where a column of a table can't have its name in PostgreSQL, beside the others. */
export function checkColumnNames(table: Table, system: SystemColumns): void {
  const seen = new Map(Object.values(system).map((name: string) => [name, name]));
  const reserved: readonly string[] = Object.values(system);
  for (const { name } of table.columns) {
    const physical = physicalName(name);
    const other = seen.get(physical);
    if (hiddenColumns.has(physical)) {
      throw new HeadwatersError(
        "NAMES_COLLIDE",
        `table "${table.id}": column "${name}" has the name of a column that PostgreSQL gives every table`,
        { hint: `Give it another name by overrides.${table.id}.columns.rename, or leave it out by columns.exclude.` },
      );
    }
    if (other !== undefined && reserved.includes(other)) {
      throw new HeadwatersError(
        "NAMES_COLLIDE",
        `table "${table.id}": column "${name}" has the name of a system column`,
        {
          hint: `Set systemColumnPrefix to another prefix, or give the column another name: overrides.${table.id}.columns.rename.`,
        },
      );
    }
    if (other !== undefined) throw sameName(table.id, other, name);
    seen.set(physical, name);
  }
}

function sameName(table: string, one: string, other: string): HeadwatersError {
  return new HeadwatersError(
    "NAMES_COLLIDE",
    `table "${table}": columns "${one}" and "${other}" would both be "${physicalName(other)}" in PostgreSQL`,
    { hint: `Give one of them another name by overrides.${table}.columns.rename, or leave it out by columns.exclude.` },
  );
}

/** A short name for something that has several long ones; the same for the same ones. */
export function digestName(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 32);
}

/** The number of an advisory lock, for what it guards. */
export function lockKey(what: string): string {
  return createHash("sha256").update(`headwaters\n${what}`).digest().readBigInt64BE().toString();
}
