import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { kept } from "./kept.ts";
import type { ColumnChange, Described, Dialect, Session, Target } from "./dialect.ts";
import type { KeptRows } from "./ledger.ts";
import { LiveViews } from "./live-views.ts";
import { checkColumnNames, copyName, systemColumns } from "./names.ts";
import type { SystemColumns, Copy } from "./model.ts";

/** The type of a table's column in the copy; `undefined`: the copy lacks the column, or has it with an unknown type. */
export function storedType({ physical }: Dialect, copy: Copy, column: string): Type | undefined {
  return copy.columns.get(physical(column));
}

/** The columns of a table that exist in its copy, by their names in the source. */
export function copyTargets({ dialect }: Session, copy: Copy, table: Table): ReadonlyMap<string, Target> {
  return new Map(
    table.columns.flatMap(({ name }): [string, Target][] => {
      const type = storedType(dialect, copy, name);
      return type === undefined ? [] : [[name, { sql: dialect.quote(name), type }]];
    }),
  );
}

/** The quoted names of the system columns. */
export function quotedSystem({ quote }: Dialect, { system }: Copy): Readonly<Record<keyof SystemColumns, string>> {
  return { synced: quote(system.synced), deleted: quote(system.deleted), id: quote(system.id) };
}

/** The number of rows in a copy that are not marked as deleted. */
export function countLive(session: Session, copy: Copy): Promise<number> {
  return session.number(
    `SELECT count(*) FROM ${copy.relation} WHERE NOT ${quotedSystem(session.dialect, copy).deleted}`,
  );
}

/**
 * The copies of a connection. A writer's are kept from one transaction to the next, until one is undone: the lease keeps
 * other writers away from them.
 */
export class Copies {
  readonly #session: Session;
  readonly #context: DestinationContext;
  /** The connection's rows of `copies`: the names of the copies that Headwaters created, and their columns. */
  readonly #kept: KeptRows;
  /** The tables of the schema by their identity, as they were when all were described; `null`: they were not. */
  readonly #described: Map<string, Described> | null;
  readonly #known = new Map<string, Copy>();
  readonly #views: LiveViews;
  /** Copies that were created meanwhile. */
  readonly #created = new Set<string>();
  /** Whose the copies in this destination are, of all connections. */
  #owners: Map<string, Owner> | null = null;

  constructor(
    session: Session,
    context: DestinationContext,
    rows: KeptRows,
    described: Map<string, Described> | null = null,
  ) {
    this.#session = session;
    this.#context = context;
    this.#kept = rows;
    this.#described = described;
    this.#views = new LiveViews(session, context, rows);
  }

  /** The copies that a writer works on. All tables are described at once. */
  static async of(session: Session, context: DestinationContext, rows: KeptRows): Promise<Copies> {
    const { dialect } = session;
    const described = await dialect.describe(session, dialect.physical(context.schema), null);
    return new Copies(
      session,
      context,
      rows,
      new Map(described.map((entry) => [dialect.identity(entry.table), entry])),
    );
  }

  /** The copy of a table; `null`: there is none. Throws if the copy's name is taken. */
  async find(id: string): Promise<Copy | null> {
    const known = this.#known.get(id) ?? (await this.#find(id));
    if (known !== null) this.#known.set(id, known);
    return known;
  }

  /** Another description of the copy: its columns or indexes have changed. */
  set(copy: Copy): void {
    this.#known.set(copy.id, copy);
  }

  /** Drops a copy, and the view of it. */
  async drop(copy: Copy): Promise<void> {
    await this.#views.release(copy);
    await this.#session.run(`DROP TABLE ${copy.relation}`);
    this.#known.delete(copy.id);
    this.#described?.delete(this.#identity(copyName(this.#context, copy.id)));
  }

  /** Whether the copy was created since this was made. */
  isNew(id: string): boolean {
    return this.#created.has(id);
  }

  /** Forgets whose copy it was. */
  disown(id: string): void {
    this.#kept.delete((row) => row["id"] === id);
    this.#owners = null;
  }

  /**
   * Prepares a copy for the rows of `table`: creates it, adds new columns, widens types, and sets columns that the source
   * dropped to NULL, once. Columns that a user added to the copy are not changed.
   */
  async prepare(table: Table): Promise<Copy> {
    const { dialect } = this.#session;
    const system = systemColumns(dialect, this.#context.systemColumnPrefix);
    checkColumnNames(dialect, table, system);
    dialect.vet(table, null);
    const found = await this.find(table.id);
    const changed = found === null || (await this.#alter(table, found));
    if (found === null) await this.#create(table, system);
    this.#keep(table);
    if (changed) this.#known.delete(table.id);
    const copy = changed ? (await this.find(table.id))! : found;
    await this.#views.fit(copy);
    return copy;
  }

  async #find(id: string): Promise<Copy | null> {
    const { dialect } = this.#session;
    const { schema, systemColumnPrefix } = this.#context;
    const name = copyName(this.#context, id);
    const described = await this.#describe(name);
    if (!(await this.#owns(id, name, described !== null))) return null;
    const { columns, indexes } = described!;
    const system = systemColumns(dialect, systemColumnPrefix);
    const native = new Map(columns.map((column) => [column.name, column.type]));
    for (const column of [system.synced, system.deleted]) {
      if (native.has(column)) continue;
      throw new HeadwatersError(
        "DESTINATION_UNUSABLE",
        `the copy of table "${id}" has no column "${column}": was systemColumnPrefix changed?`,
        { hint: "Restore the setting, or run reset --drop for this table and sync again." },
      );
    }
    const own: readonly string[] = Object.values(system);
    const types = [...native].flatMap(([column, nativeType]): [string, Type][] => {
      const type = own.includes(column) ? null : dialect.typeOf(nativeType);
      return type === null ? [] : [[column, type]];
    });
    return { id, relation: dialect.relation(schema, name), schema, columns: new Map(types), native, system, indexes };
  }

  /** Whether the table of this name exists and is the copy of `id`. Throws if it is something else. */
  async #owns(id: string, name: string, exists: boolean): Promise<boolean> {
    const { dialect } = this.#session;
    const { schema, connection } = this.#context;
    this.#owners ??= await this.#loadOwners();
    const owner = this.#owners.get(this.#place(dialect.physical(schema), dialect.physical(name)));
    if (owner !== undefined && (owner.connection !== connection || owner.id !== id))
      throw takenBy(dialect, owner, id, name, this.#context);
    if (owner !== undefined || !exists) return exists;
    throw new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${schema}.${name} exists already, and Headwaters did not make it`,
      { hint: `Choose another schema, another name (overrides.${id}.rename), or drop that one.` },
    );
  }

  /** By the identity of the copy's name. */
  async #loadOwners(): Promise<Map<string, Owner>> {
    const { connection } = this.#context;
    const others = await this.#session.rows(
      `SELECT connection, id, schema_name, table_name FROM ${kept(this.#session, "copies", connection)} WHERE connection <> $1`,
      [connection],
    );
    const own = this.#kept.all().map((row) => ({ ...row, connection }));
    return new Map(
      ([...others, ...own] as readonly Owner[]).map((owner) => [
        this.#place(owner.schema_name, owner.table_name),
        owner,
      ]),
    );
  }

  #place(schema: string, table: string): string {
    const { identity } = this.#session.dialect;
    return `${identity(schema)}\n${identity(table)}`;
  }

  async #describe(name: string): Promise<Described | null> {
    const { dialect } = this.#session;
    if (this.#described !== null) return this.#described.get(this.#identity(name)) ?? null;
    const [found] = await dialect.describe(
      this.#session,
      dialect.physical(this.#context.schema),
      dialect.physical(name),
    );
    return found ?? null;
  }

  #identity(name: string): string {
    const { dialect } = this.#session;
    return dialect.identity(dialect.physical(name));
  }

  /** Stores the name of a table's copy and its columns. Only changes are written: all connections share `copies`. */
  #keep(table: Table): void {
    const { physical } = this.#session.dialect;
    const row = {
      id: table.id,
      schema_name: physical(this.#context.schema),
      table_name: physical(copyName(this.#context, table.id)),
      columns: JSON.stringify(table.columns.map(({ name }) => name)),
    };
    if (JSON.stringify(this.#kept.get(table.id)) === JSON.stringify(row)) return;
    this.#kept.set(row);
    const owner = { ...row, connection: this.#context.connection };
    this.#owners?.set(this.#place(row.schema_name, row.table_name), owner);
  }

  async #create(table: Table, system: SystemColumns): Promise<void> {
    const { quote, physical, relation, typeName, constraints, title, identity, slicing } = this.#session.dialect;
    const name = copyName(this.#context, table.id);
    const mandatory = constraints ? " NOT NULL" : "";
    const columns = [
      ...table.columns.map((column) => ({ name: column.name, type: typeName(column.type), more: "" })),
      ...(table.key.length === 0 ? [{ name: system.id, type: "text", more: "" }] : []),
      { name: system.synced, type: "timestamp with time zone", more: mandatory },
      { name: system.deleted, type: "boolean", more: mandatory },
    ];
    const definitions = columns.map((column) => `${quote(column.name)} ${column.type}${column.more}`);
    const copy = relation(this.#context.schema, name);
    await this.#session.run(`CREATE TABLE ${copy} (${definitions.join(", ")})`);
    this.#created.add(table.id);
    slicing.created(copy);
    this.#described?.set(identity(physical(name)), {
      table: physical(name),
      columns: columns.map((column) => ({ name: physical(column.name), type: column.type })),
      indexes: [],
    });
    const cut = [name, ...table.columns.map((column) => column.name)].filter((full) => physical(full) !== full);
    for (const full of cut)
      this.#context.log.warn(`"${full}" is longer than ${title}'s names: it is "${physical(full)}" there`);
  }

  /** Alters the copy for the columns of `table`. Resolves to whether it altered anything. */
  async #alter(table: Table, copy: Copy): Promise<boolean> {
    const { dialect } = this.#session;
    const { quote, typeName, physical, identity } = dialect;
    const { relation, native, system } = copy;
    const changes: ColumnChange[] = [];
    for (const { name, type } of table.columns) {
      const known = storedType(dialect, copy, name);
      if (known === undefined) {
        const other = [...native].find(([column]) => identity(column) === identity(name));
        if (other !== undefined) throw columnTaken(dialect, table, name, other);
        changes.push({ kind: "add", sql: quote(name), type });
        continue;
      }
      const wide = widen(known, type);
      if (typeName(wide) !== typeName(known))
        changes.push({ kind: "widen", sql: quote(name), type: wide, from: known });
    }
    if (table.key.length === 0 && !native.has(system.id))
      changes.push({ kind: "add", sql: quote(system.id), type: { kind: "STRING" } });
    // A view would hold a type fast.
    if (changes.some(({ kind }) => kind === "widen")) await this.#views.release(copy);
    for (const sql of dialect.alter(relation, changes)) await this.#session.run(sql);
    const left = new Set(table.columns.map(({ name }) => physical(name)));
    const cleared = this.#dropped(table).filter(
      (name) => storedType(dialect, copy, name) !== undefined && !left.has(physical(name)),
    );
    for (const name of cleared) {
      await dialect.merging.release(this.#session, copy, name);
      await this.#session.run(`UPDATE ${relation} SET ${quote(name)} = NULL WHERE ${quote(name)} IS NOT NULL`);
    }
    const altered = changes.length + cleared.length > 0;
    if (altered && this.#described !== null) {
      const name = copyName(this.#context, table.id);
      const [now] = await dialect.describe(this.#session, physical(this.#context.schema), physical(name));
      this.#described.set(this.#identity(name), now!);
    }
    return altered;
  }

  /** Columns that the source had when the copy was last prepared, and no longer has. */
  #dropped(table: Table): readonly string[] {
    const row = this.#kept.get(table.id);
    if (row === null) return [];
    return (JSON.parse(row["columns"] as string) as string[]).filter(
      (name) => !table.columns.some((column) => column.name === name),
    );
  }
}

type Owner = Readonly<Record<"connection" | "id" | "schema_name" | "table_name", string>>;

function takenBy(
  dialect: Dialect,
  owner: Owner,
  id: string,
  name: string,
  { connection, schema }: DestinationContext,
): HeadwatersError {
  if (owner.connection !== connection) {
    return new HeadwatersError(
      "DESTINATION_UNUSABLE",
      `schema: ${schema}.${name} is the copy that connection "${owner.connection}" keeps`,
      { hint: `Choose another schema for one of the two, or another name (overrides.${id}.rename).` },
    );
  }
  return new HeadwatersError(
    "NAMES_COLLIDE",
    `the copies of tables "${owner.id}" and "${id}" would be one in ${dialect.title}: "${owner.table_name}" and "${dialect.physical(name)}"`,
    { hint: `Give one of them another name: overrides.${id}.rename.` },
  );
}

function columnTaken(
  { collision, physical }: Dialect,
  table: Table,
  name: string,
  [column, type]: readonly [string, string],
): HeadwatersError {
  if (column !== physical(name)) {
    return new HeadwatersError("NAMES_COLLIDE", `table "${table.id}": ${collision(column, name)}`, {
      hint: `Give it another name with overrides.${table.id}.columns.rename, or run reset --drop for this table and sync again.`,
    });
  }
  return new HeadwatersError(
    "DESTINATION_UNUSABLE",
    `table "${table.id}": column "${name}" of the copy is ${type}, which Headwaters has not made`,
    { hint: "Run reset --drop for this table and sync again." },
  );
}
