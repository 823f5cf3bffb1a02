import type { Pass } from "../../protocol/pass.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { kept, savePass } from "./bookkeeping.ts";
import type { Copy } from "./copies.ts";
import { bookkeepingSchema, digestName, fold, quote } from "./names.ts";
import type { Session } from "./session.ts";
import type { Mode } from "./settle.ts";
import { createStage, reshapeStage, type Stage, stagedId } from "./stage.ts";
import { typeOf } from "./types.ts";

/** One table of an open pass. */
export interface PassTable {
  readonly mode: Mode;
  /** As the pass has it, with what `schema` operations added. */
  readonly table: Table;
  /** `null` in the modes `direct` and `merge`. */
  readonly stage: Stage | null;
}

/** The tables of open passes: how their rows reach the copy, and where they are set aside until then. */
export class PassTables {
  readonly #session: Session;
  readonly #context: DestinationContext;
  readonly #known = new Map<string, PassTable>();

  constructor(session: Session, context: DestinationContext) {
    this.#session = session;
    this.#context = context;
  }

  /** `null`: no such pass is open, or it has no such table. */
  async find(pass: string, id: string): Promise<PassTable | null> {
    const known = this.#known.get(digestName(pass, id));
    if (known !== undefined) return known;
    const [row] = await this.#session.rows<{ mode: string; stage: string | null; pass: string }>(
      `SELECT mode, stage, passes.pass FROM ${this.#kept("pass_tables")} entries
        JOIN ${this.#kept("passes")} passes
          ON passes.connection = entries.connection AND passes.id = entries.pass
        WHERE entries.connection = ? AND entries.pass = ? AND entries.id = ?`,
      [this.#context.connection, pass, id],
    );
    if (row === undefined) return null;
    const table = (JSON.parse(row.pass) as Pass).tables.find((candidate) => candidate.id === id)!;
    const stage = row.stage === null ? null : await this.#describe(row.stage);
    return this.#keep(pass, { mode: row.mode as Mode, table, stage });
  }

  /**
   * Decides how the rows of a table get into its copy, and makes the stage that they need. `replaces`: a copy is there
   * that the pass replaces.
   */
  async add(pass: Pass, table: Table, copy: Copy, replaces: boolean): Promise<void> {
    const { connection } = this.#context;
    const mode = replaces ? "replace" : await this.#mode(pass, table, copy);
    const name = mode === "direct" || mode === "merge" ? null : `stage_${digestName(connection, pass.id, table.id)}`;
    const stage = name === null ? null : await this.#createStage(name, mode, table, copy);
    await this.#session.run(`INSERT INTO ${this.#kept("pass_tables")} VALUES (?, ?, ?, ?, ?)`, [
      connection,
      pass.id,
      table.id,
      mode,
      name,
    ]);
    this.#keep(pass.id, { mode, table, stage });
  }

  /** Keeps a table that has more columns now, or wider ones. `copy` tells the types; `null`: the table does. */
  async reshape(pass: string, table: Table, copy: Copy | null): Promise<void> {
    const { connection } = this.#context;
    const { mode, stage } = (await this.find(pass, table.id))!;
    const reshaped = stage === null ? null : await reshapeStage(this.#session, stage, stageColumns(mode, table, copy));
    const [row] = await this.#session.rows<{ pass: string }>(
      `SELECT pass FROM ${this.#kept("passes")} WHERE connection = ? AND id = ?`,
      [connection, pass],
    );
    const stored = JSON.parse(row!.pass) as Pass;
    const tables = stored.tables.map((candidate) => (candidate.id === table.id ? table : candidate));
    await savePass(this.#session, connection, { ...stored, tables });
    this.#keep(pass, { mode, table, stage: reshaped });
  }

  /** Ids of open passes that have one of these tables. */
  async of(tables: readonly string[]): Promise<string[]> {
    const rows = await this.#session.rows<{ pass: string; id: string }>(
      `SELECT pass, id FROM ${this.#kept("pass_tables")} WHERE connection = ?`,
      [this.#context.connection],
    );
    return [...new Set(rows.filter(({ id }) => tables.includes(id)).map(({ pass }) => pass))];
  }

  /** Drops the stages of a pass. */
  async drop(pass: string): Promise<void> {
    const rows = await this.#session.rows<{ id: string; stage: string | null }>(
      `SELECT id, stage FROM ${this.#kept("pass_tables")} WHERE connection = ? AND pass = ?`,
      [this.#context.connection, pass],
    );
    for (const { id, stage } of rows) {
      if (stage !== null) await this.#session.run(`DROP TABLE IF EXISTS ${this.#relation(stage)}`);
      this.#known.delete(digestName(pass, id));
    }
  }

  async #mode(pass: Pass, table: Table, copy: Copy): Promise<Mode> {
    if (pass.kind === "keys") return "keys";
    if (pass.kind !== "full") return "merge";
    const empty = (await this.#session.number(`SELECT count(*) FROM (SELECT 1 FROM ${copy.relation} LIMIT 1)`)) === 0;
    // The order of rows, by which the last of two with one key is told, goes by `rowid`: not where a column hides it.
    const ordered = !table.columns.some(({ name }) => fold(name) === "rowid");
    return empty && ordered && table.key.length > 0 ? "direct" : "set aside";
  }

  #createStage(name: string, mode: Mode, table: Table, copy: Copy): Promise<Stage> {
    const extra = table.key.length === 0 ? [`${stagedId} VARCHAR`] : [];
    const columns = stageColumns(mode, table, mode === "replace" ? null : copy);
    return createStage(this.#session, "TABLE", this.#relation(name), columns, extra);
  }

  async #describe(name: string): Promise<Stage> {
    const rows = await this.#session.rows<{ column_name: string; data_type: string }>(
      `SELECT column_name, data_type FROM duckdb_columns()
        WHERE database_name = current_database() AND schema_name = ? AND table_name = ? AND starts_with(column_name, 'c_')
        ORDER BY column_index`,
      [bookkeepingSchema, name],
    );
    const columns = rows.map(({ column_name, data_type }): [string, Type] => [
      column_name.slice(2),
      typeOf(data_type)!,
    ]);
    return { relation: this.#relation(name), columns: new Map(columns) };
  }

  #kept(table: "passes" | "pass_tables"): string {
    return kept(this.#session, table, this.#context.connection);
  }

  #relation(stage: string): string {
    return `${quote(this.#session.catalog)}.${quote(bookkeepingSchema)}.${quote(stage)}`;
  }

  #keep(pass: string, entry: PassTable): PassTable {
    this.#known.set(digestName(pass, entry.table.id), entry);
    return entry;
  }
}

/** What a stage of this mode holds of a table, in the types of the copy. */
function stageColumns(mode: Mode, table: Table, copy: Copy | null): ReadonlyMap<string, Type> {
  const wanted = (name: string): boolean => mode !== "keys" || table.key.includes(name) || table.version === name;
  return new Map(
    table.columns
      .filter(({ name }) => wanted(name))
      .map(({ name, type }): [string, Type] => [name, copy?.columns.get(name) ?? type]),
  );
}
