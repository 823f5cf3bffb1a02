import type { Pass } from "../../protocol/pass.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { savePass } from "./bookkeeping.ts";
import { kept } from "./kept.ts";
import { storedType } from "./copies.ts";
import type { Counter, Dialect, Session } from "./dialect.ts";
import { bookkeepingSchema, digestName } from "./names.ts";
import { createStage, reshapeStage } from "./stage.ts";
import { stored } from "./stored-json.ts";
import type { Copy, Stage, Mode } from "./model.ts";

/** One table of an open pass. */
export interface PassTable {
  /** The id of the pass. */
  readonly pass: string;
  readonly mode: Mode;
  /** The table as the pass has it, with the changes of `schema` operations. */
  readonly table: Table;
  /** `null` in the modes `direct` and `merge`. */
  readonly stage: Stage | null;
  /** The number of rows that all transactions have loaded into the stage. */
  readonly counter: Counter;
}

/** The tables of open passes: how their rows reach the copy, and the stages that hold the rows until then. */
export class PassTables {
  readonly #session: Session;
  readonly #context: DestinationContext;
  readonly #known = new Map<string, PassTable>();

  constructor(session: Session, context: DestinationContext) {
    this.#session = session;
    this.#context = context;
  }

  /** `null`: the pass is not open, or it lacks the table. */
  async find(pass: string, id: string): Promise<PassTable | null> {
    const known = this.#known.get(digestName(pass, id));
    if (known !== undefined) return known;
    const [row] = await this.#session.rows(
      `SELECT mode, stage, columns, ordinal, passes.pass FROM ${this.#kept("pass_tables")} entries
        JOIN ${this.#kept("passes")} passes ON passes.connection = entries.connection AND passes.id = entries.pass
        WHERE entries.connection = $1 AND entries.pass = $2 AND entries.id = $3`,
      [this.#context.connection, pass, id],
    );
    if (row === undefined) return null;
    const table = (JSON.parse(row["pass"] as string) as Pass).tables.find((candidate) => candidate.id === id)!;
    const columns = (): Stage["columns"] => new Map(JSON.parse(row["columns"] as string) as [string, Type][]);
    const stage =
      row["stage"] === null ? null : { relation: this.#relation(row["stage"] as string), columns: columns() };
    return this.#keep({ pass, mode: row["mode"] as Mode, table, stage, counter: { rows: Number(row["ordinal"]) } });
  }

  /**
   * Chooses the mode of a table and creates its stage, if the mode needs one. `replaces`: the pass replaces an existing
   * copy.
   */
  async add(pass: Pass, table: Table, copy: Copy, replaces: boolean): Promise<Mode> {
    const { connection } = this.#context;
    const mode = replaces ? "replace" : await this.#mode(pass, table, copy);
    const name = mode === "direct" || mode === "merge" ? null : `stage_${digestName(connection, pass.id, table.id)}`;
    const stage = name === null ? null : await this.#createStage(name, mode, table, copy);
    await this.#session.run(
      `INSERT INTO ${this.#kept("pass_tables")} (connection, pass, id, mode, stage, columns, ordinal)
        VALUES ($1, $2, $3, $4, $5, $6, 0)`,
      [connection, pass.id, table.id, mode, name, stored([...(stage?.columns ?? [])])],
    );
    this.#keep({ pass: pass.id, mode, table, stage, counter: { rows: 0 } });
    return mode;
  }

  /** Stores a table with new or wider columns. `copy` gives the types; `null`: the table gives them. */
  async reshape(pass: string, table: Table, copy: Copy | null): Promise<void> {
    const { connection } = this.#context;
    const { mode, stage, counter } = (await this.find(pass, table.id))!;
    const columns = stageColumns(this.#session.dialect, mode, table, copy);
    const reshaped = stage === null ? null : await reshapeStage(this.#session, stage, columns);
    await this.#session.run(
      `UPDATE ${this.#kept("pass_tables")} SET columns = $4 WHERE connection = $1 AND pass = $2 AND id = $3`,
      [connection, pass, table.id, stored([...(reshaped?.columns ?? [])])],
    );
    const [row] = await this.#session.rows(
      `SELECT pass FROM ${this.#kept("passes")} WHERE connection = $1 AND id = $2`,
      [connection, pass],
    );
    const known = JSON.parse(row!["pass"] as string) as Pass;
    const tables = known.tables.map((candidate) => (candidate.id === table.id ? table : candidate));
    await savePass(this.#session, connection, { ...known, tables });
    this.#keep({ pass, mode, table, stage: reshaped, counter });
  }

  /** The ids of open passes that have one of these tables. */
  async of(tables: readonly string[]): Promise<string[]> {
    const rows = await this.#session.rows(`SELECT pass, id FROM ${this.#kept("pass_tables")} WHERE connection = $1`, [
      this.#context.connection,
    ]);
    return [...new Set(rows.filter(({ id }) => tables.includes(id as string)).map(({ pass }) => pass as string))];
  }

  /** The tables of a pass in the mode `direct`. */
  async direct(pass: string): Promise<Table[]> {
    const rows = await this.#session.rows(
      `SELECT id FROM ${this.#kept("pass_tables")} WHERE connection = $1 AND pass = $2 AND mode = 'direct'`,
      [this.#context.connection, pass],
    );
    const found = await Promise.all(rows.map(({ id }) => this.find(pass, id as string)));
    return found.flatMap((entry) => (entry === null ? [] : [entry.table]));
  }

  /** Stores the stages' counters, so that the next transaction continues from them. */
  async saveCounters(): Promise<void> {
    if (!this.#session.dialect.numbered) return;
    for (const { pass, table, stage, counter } of this.#known.values()) {
      if (stage === null) continue;
      await this.#session.run(
        `UPDATE ${this.#kept("pass_tables")} SET ordinal = $4 WHERE connection = $1 AND pass = $2 AND id = $3 AND ordinal <> $4`,
        [this.#context.connection, pass, table.id, counter.rows],
      );
    }
  }

  /** Drops the stages of a pass. */
  async drop(pass: string): Promise<void> {
    const rows = await this.#session.rows(
      `SELECT id, stage FROM ${this.#kept("pass_tables")} WHERE connection = $1 AND pass = $2`,
      [this.#context.connection, pass],
    );
    for (const { id, stage } of rows) {
      if (stage !== null) await this.#session.run(`DROP TABLE IF EXISTS ${this.#relation(stage as string)}`);
      this.#known.delete(digestName(pass, id as string));
    }
  }

  async #mode(pass: Pass, table: Table, copy: Copy): Promise<Mode> {
    if (pass.kind === "keys") return "keys";
    if (pass.kind !== "full") return "merge";
    const rows = await this.#session.number(`SELECT count(*) FROM (SELECT 1 FROM ${copy.relation} LIMIT 1) found`);
    const { identity, hidesOrder } = this.#session.dialect;
    const ordered = !table.columns.some(({ name }) => hidesOrder.has(identity(name)));
    return rows === 0 && ordered && table.key.length > 0 ? "direct" : "set aside";
  }

  #createStage(name: string, mode: Mode, table: Table, copy: Copy): Promise<Stage> {
    const columns = stageColumns(this.#session.dialect, mode, table, mode === "replace" ? null : copy);
    return createStage(this.#session, "TABLE", this.#relation(name), columns, { id: table.key.length === 0 });
  }

  #kept(table: "passes" | "pass_tables"): string {
    return kept(this.#session, table, this.#context.connection);
  }

  #relation(stage: string): string {
    return this.#session.dialect.relation(bookkeepingSchema, stage);
  }

  #keep(entry: PassTable): PassTable {
    this.#known.set(digestName(entry.pass, entry.table.id), entry);
    return entry;
  }
}

/** The columns of a table's stage in this mode, with the types of the copy. */
function stageColumns(dialect: Dialect, mode: Mode, table: Table, copy: Copy | null): ReadonlyMap<string, Type> {
  const wanted = (name: string): boolean => mode !== "keys" || table.key.includes(name) || table.version === name;
  return new Map(
    table.columns
      .filter(({ name }) => wanted(name))
      .map(({ name, type }): [string, Type] => [
        name,
        (copy === null ? undefined : storedType(dialect, copy, name)) ?? type,
      ]),
  );
}
