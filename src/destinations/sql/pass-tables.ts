import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass } from "../../protocol/pass.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { storedType } from "./copies.ts";
import type { Counter, Dialect, Session } from "./dialect.ts";
import type { KeptRow, Ledger } from "./ledger.ts";
import { bookkeepingSchema, digestName } from "./names.ts";
import { createStage, reshapeStage } from "./stage.ts";
import { stored } from "./stored-json.ts";
import { Unstaged } from "./unstaged.ts";
import type { Copy, Stage, Mode } from "./model.ts";

/**
 * Several members of a team load into one stage. The numbers of its rows then begin with that of the transaction, so that
 * no two are the same, and later rows of a split have greater ones. `ordinal` in the bookkeeping is negative: the number
 * of the transaction that opened the pass.
 */
const rowsInTransaction = 2 ** 22;

/** Who writes. */
export interface By {
  readonly lease: number;
  /** Stamps the rows that are written: ISO 8601, UTC. */
  readonly stamp: string;
  /** Of a team. */
  readonly member: boolean;
  /** The number of the transaction; `null`: no team writes, or has written to a pass that is open. */
  readonly number: number | null;
}

/** One table of an open pass. */
export interface PassTable {
  /** The id of the pass. */
  readonly pass: string;
  readonly mode: Mode;
  /** The table as the pass has it, with the changes of `schema` operations. */
  readonly table: Table;
  /** `null` in the modes `direct` and `merge`. */
  readonly stage: Stage | null;
  /** `null`: the stage exists, or there is none. */
  readonly unstaged: Unstaged | null;
  /** The number of rows that all transactions have loaded into the stage. */
  readonly counter: Counter;
}

/** The tables of open passes: how their rows reach the copy, and the stages that hold the rows until then. */
export class PassTables {
  readonly #session: Session;
  readonly #connection: string;
  readonly #ledger: Ledger;
  readonly #by: By;
  readonly #known = new Map<string, PassTable>();

  constructor(session: Session, { connection }: DestinationContext, ledger: Ledger, by: By) {
    this.#session = session;
    this.#connection = connection;
    this.#ledger = ledger;
    this.#by = by;
  }

  /** `null`: the pass is not open, or it lacks the table. */
  find(pass: string, id: string): PassTable | null {
    const known = this.#known.get(digestName(pass, id));
    if (known !== undefined) return known;
    const row = this.#ledger.pass_tables.get(pass, id);
    const open = this.#ledger.passes.get(pass);
    if (row === null || open === null) return null;
    const table = (JSON.parse(open["pass"] as string) as Pass).tables.find((candidate) => candidate.id === id)!;
    const columns = (): Stage["columns"] => new Map(JSON.parse(row["columns"] as string) as [string, Type][]);
    const stage =
      row["stage"] === null ? null : { relation: this.#relation(row["stage"] as string), columns: columns() };
    const counter = { rows: this.#counted(Number(row["ordinal"])) };
    return this.#keep({ pass, mode: row["mode"] as Mode, table, stage, unstaged: null, counter });
  }

  /** Adds a table to a pass. Its stage is created, if the mode needs one; that of a sweep only by {@link createStage}. */
  async add(pass: Pass, table: Table, copy: Copy, mode: Mode): Promise<void> {
    const name =
      mode === "direct" || mode === "merge" ? null : `stage_${digestName(this.#connection, pass.id, table.id)}`;
    const columns =
      name === null ? null : stageColumns(this.#session.dialect, mode, table, mode === "replace" ? null : copy);
    const stage = columns === null ? null : { relation: this.#relation(name!), columns };
    const unstaged = mode === "keys" && !this.#by.member ? new Unstaged() : null;
    const entry = this.#keep({ pass: pass.id, mode, table, stage, unstaged, counter: { rows: 0 } });
    this.#ledger.pass_tables.set({
      pass: pass.id,
      id: table.id,
      mode,
      stage: name,
      columns: stored([...(columns ?? [])]),
      ordinal: this.#by.member ? -this.#by.number! : 0,
    });
    if (stage !== null && unstaged === null) await this.createStage(entry);
  }

  async createStage(entry: PassTable): Promise<PassTable> {
    const { stage, table } = entry;
    await createStage(this.#session, "TABLE", stage!.relation, stage!.columns, { id: table.key.length === 0 });
    return this.#keep({ ...entry, unstaged: null });
  }

  /** The tables whose stages do not exist yet. */
  get unstaged(): readonly PassTable[] {
    return [...this.#known.values()].filter(({ unstaged }) => unstaged !== null);
  }

  /** Stores a table with new or wider columns. `copy` gives the types; `null`: the table gives them. */
  async reshape(pass: string, table: Table, copy: Copy | null): Promise<void> {
    const { mode, stage, counter } = this.find(pass, table.id)!;
    const { pass_tables, passes } = this.#ledger;
    const reshaped =
      stage === null
        ? null
        : await reshapeStage(this.#session, stage, stageColumns(this.#session.dialect, mode, table, copy));
    pass_tables.set({ ...pass_tables.get(pass, table.id)!, columns: stored([...(reshaped?.columns ?? [])]) });
    const known = JSON.parse(passes.get(pass)!["pass"] as string) as Pass;
    const tables = known.tables.map((candidate) => (candidate.id === table.id ? table : candidate));
    passes.set({ id: pass, pass: stored({ ...known, tables }) });
    this.#keep({ pass, mode, table, stage: reshaped, unstaged: null, counter });
  }

  /** From here on, rows of a table in the mode `direct` are merged into its copy. */
  mergeFromNow(pass: string, id: string): void {
    const { pass_tables } = this.#ledger;
    pass_tables.set({ ...pass_tables.get(pass, id)!, mode: "merge" });
    this.#keep({ ...this.find(pass, id)!, mode: "merge" });
  }

  /** The ids of open passes that have one of these tables. */
  of(tables: readonly string[]): readonly string[] {
    const rows = this.#ledger.pass_tables.all().filter(({ id }) => tables.includes(id as string));
    return [...new Set(rows.map(({ pass }) => pass as string))];
  }

  /** The tables of a pass in the mode `direct`. */
  direct(pass: string): readonly Table[] {
    return this.#rowsOf(pass)
      .filter(({ mode }) => mode === "direct")
      .flatMap(({ id }) => this.find(pass, id as string)?.table ?? []);
  }

  /** Stores the stages' counters, so that the next transaction continues from them. */
  saveCounters(): void {
    if (!this.#session.dialect.numbered) return;
    const { pass_tables } = this.#ledger;
    for (const { pass, table, stage, counter } of this.#known.values()) {
      const row = pass_tables.get(pass, table.id);
      const ordinal = Number(row?.["ordinal"] ?? 0);
      if (row === null || stage === null || ordinal === counter.rows) continue;
      if (ordinal >= 0) pass_tables.set({ ...row, ordinal: counter.rows });
      else if (counter.rows - this.#counted(ordinal) > rowsInTransaction)
        throw new HeadwatersError(
          "DEFECT",
          `a transaction of a team has more than ${rowsInTransaction} rows of a table`,
        );
    }
  }

  /** Lets a team go on with a pass that one process opened: its rows are numbered behind those that are there. */
  handOver(id: string): void {
    const { pass_tables } = this.#ledger;
    for (const row of pass_tables.all()) {
      const ordinal = Number(row["ordinal"]);
      if (row["id"] !== id || ordinal < 0) continue;
      this.#known.delete(digestName(row["pass"] as string, id));
      pass_tables.set({ ...row, ordinal: Math.ceil(ordinal / rowsInTransaction) + 1 - this.#by.number! });
    }
  }

  /** The number before that of the next row. */
  #counted(ordinal: number): number {
    return ordinal < 0 ? (this.#by.number! + ordinal) * rowsInTransaction : ordinal;
  }

  /** Drops the stages of a pass, and forgets its tables. */
  async drop(pass: string): Promise<void> {
    for (const { id, stage } of this.#rowsOf(pass)) {
      const key = digestName(pass, id as string);
      const exists = stage !== null && (this.#known.get(key)?.unstaged ?? null) === null;
      if (exists) await this.#session.run(`DROP TABLE IF EXISTS ${this.#relation(stage as string)}`);
      this.#known.delete(key);
    }
    this.#ledger.pass_tables.delete((row) => row["pass"] === pass);
  }

  #rowsOf(pass: string): readonly KeptRow[] {
    return this.#ledger.pass_tables.all().filter((row) => row["pass"] === pass);
  }

  #relation(stage: string): string {
    return this.#session.dialect.relation(bookkeepingSchema, stage);
  }

  #keep(entry: PassTable): PassTable {
    this.#known.set(digestName(entry.pass, entry.table.id), entry);
    return entry;
  }
}

/** Whether the order in which rows were appended to a copy can be seen, by which the last of several is found. */
export function keepsOrder({ identity, hidesOrder }: Dialect, { columns }: Table): boolean {
  return !columns.some(({ name }) => hidesOrder.has(identity(name)));
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
