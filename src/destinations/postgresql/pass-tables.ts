import type { Pass } from "../../protocol/pass.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { kept, savePass } from "./bookkeeping.ts";
import { type Copy, storedType } from "./copies.ts";
import type { Counter } from "./loader.ts";
import { bookkeepingSchema, digestName, relationName } from "./names.ts";
import type { Session } from "./session.ts";
import type { Mode } from "./settle.ts";
import { createStage, reshapeStage, type Stage, stagedId } from "./stage.ts";

/** One table of an open pass. */
export interface PassTable {
  /** The id of the pass. */
  readonly pass: string;
  readonly mode: Mode;
  /** As the pass has it, with what `schema` operations added. */
  readonly table: Table;
  /** `null` in the modes `direct` and `merge`. */
  readonly stage: Stage | null;
  /** How many rows the stage was given, by all transactions. */
  readonly counter: Counter;
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
    const [row] = await this.#session.rows(
      `SELECT mode, stage, columns, ordinal, passes.pass FROM ${kept("pass_tables")} entries
        JOIN ${kept("passes")} passes ON passes.connection = entries.connection AND passes.id = entries.pass
        WHERE entries.connection = $1 AND entries.pass = $2 AND entries.id = $3`,
      [this.#context.connection, pass, id],
    );
    if (row === undefined) return null;
    const table = (JSON.parse(row["pass"]!) as Pass).tables.find((candidate) => candidate.id === id)!;
    const columns = new Map(JSON.parse(row["columns"]!) as [string, Type][]);
    const stage = row["stage"] === null ? null : { relation: relationOf(row["stage"]!), columns };
    return this.#keep({ pass, mode: row["mode"] as Mode, table, stage, counter: { rows: Number(row["ordinal"]) } });
  }

  /**
   * Decides how the rows of a table get into its copy, and makes the stage that they need. `replaces`: a copy is there
   * that the pass replaces.
   */
  async add(pass: Pass, table: Table, copy: Copy, replaces: boolean): Promise<Mode> {
    const { connection } = this.#context;
    const mode = replaces ? "replace" : await this.#mode(pass, table, copy);
    const name = mode === "direct" || mode === "merge" ? null : `stage_${digestName(connection, pass.id, table.id)}`;
    const stage = name === null ? null : await this.#createStage(name, mode, table, copy);
    await this.#session.run(
      `INSERT INTO ${kept("pass_tables")} (connection, pass, id, mode, stage, columns, ordinal)
        VALUES ($1, $2, $3, $4, $5, $6, 0)`,
      [connection, pass.id, table.id, mode, name, JSON.stringify([...(stage?.columns ?? [])])],
    );
    this.#keep({ pass: pass.id, mode, table, stage, counter: { rows: 0 } });
    return mode;
  }

  /** Keeps a table that has more columns now, or wider ones. `copy` tells the types; `null`: the table does. */
  async reshape(pass: string, table: Table, copy: Copy | null): Promise<void> {
    const { connection } = this.#context;
    const { mode, stage, counter } = (await this.find(pass, table.id))!;
    const reshaped = stage === null ? null : await reshapeStage(this.#session, stage, stageColumns(mode, table, copy));
    await this.#session.run(
      `UPDATE ${kept("pass_tables")} SET columns = $4 WHERE connection = $1 AND pass = $2 AND id = $3`,
      [connection, pass, table.id, JSON.stringify([...(reshaped?.columns ?? [])])],
    );
    const [row] = await this.#session.rows(`SELECT pass FROM ${kept("passes")} WHERE connection = $1 AND id = $2`, [
      connection,
      pass,
    ]);
    const stored = JSON.parse(row!["pass"]!) as Pass;
    const tables = stored.tables.map((candidate) => (candidate.id === table.id ? table : candidate));
    await savePass(this.#session, connection, { ...stored, tables });
    this.#keep({ pass, mode, table, stage: reshaped, counter });
  }

  /** Ids of open passes that have one of these tables. */
  async of(tables: readonly string[]): Promise<string[]> {
    const rows = await this.#session.rows(
      `SELECT DISTINCT pass FROM ${kept("pass_tables")} WHERE connection = $1 AND id = ANY ($2::text[])`,
      [this.#context.connection, tables],
    );
    return rows.map(({ pass }) => pass!);
  }

  /** Tables of a pass whose rows go straight into their copies. */
  async direct(pass: string): Promise<Table[]> {
    const rows = await this.#session.rows(
      `SELECT id FROM ${kept("pass_tables")} WHERE connection = $1 AND pass = $2 AND mode = 'direct'`,
      [this.#context.connection, pass],
    );
    const found = await Promise.all(rows.map(({ id }) => this.find(pass, id!)));
    return found.flatMap((entry) => (entry === null ? [] : [entry.table]));
  }

  /** Makes durable how many rows the stages were given, so that the next transaction counts on from there. */
  async saveCounters(): Promise<void> {
    for (const { pass, table, stage, counter } of this.#known.values()) {
      if (stage === null) continue;
      await this.#session.run(
        `UPDATE ${kept("pass_tables")} SET ordinal = $4 WHERE connection = $1 AND pass = $2 AND id = $3 AND ordinal <> $4`,
        [this.#context.connection, pass, table.id, counter.rows],
      );
    }
  }

  /** Drops the stages of a pass. */
  async drop(pass: string): Promise<void> {
    const rows = await this.#session.rows(
      `SELECT id, stage FROM ${kept("pass_tables")} WHERE connection = $1 AND pass = $2`,
      [this.#context.connection, pass],
    );
    for (const { id, stage } of rows) {
      if (stage !== null) await this.#session.run(`DROP TABLE IF EXISTS ${relationOf(stage!)}`);
      this.#known.delete(digestName(pass, id!));
    }
  }

  async #mode(pass: Pass, table: Table, copy: Copy): Promise<Mode> {
    if (pass.kind === "keys") return "keys";
    if (pass.kind !== "full") return "merge";
    const [found] = await this.#session.rows(`SELECT EXISTS (SELECT FROM ${copy.relation}) AS found`);
    return found!["found"] !== "t" && table.key.length > 0 ? "direct" : "set aside";
  }

  #createStage(name: string, mode: Mode, table: Table, copy: Copy): Promise<Stage> {
    const extra = table.key.length === 0 ? [`${stagedId} text`] : [];
    const columns = stageColumns(mode, table, mode === "replace" ? null : copy);
    return createStage(this.#session, "TABLE", relationOf(name), columns, extra);
  }

  #keep(entry: PassTable): PassTable {
    this.#known.set(digestName(entry.pass, entry.table.id), entry);
    return entry;
  }
}

function relationOf(stage: string): string {
  return relationName(bookkeepingSchema, stage);
}

/** What a stage of this mode holds of a table, in the types of the copy. */
function stageColumns(mode: Mode, table: Table, copy: Copy | null): ReadonlyMap<string, Type> {
  const wanted = (name: string): boolean => mode !== "keys" || table.key.includes(name) || table.version === name;
  return new Map(
    table.columns
      .filter(({ name }) => wanted(name))
      .map(({ name, type }): [string, Type] => [name, (copy === null ? undefined : storedType(copy, name)) ?? type]),
  );
}
