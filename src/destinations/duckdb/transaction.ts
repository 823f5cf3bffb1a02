import { HeadwatersError } from "../../protocol/errors.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, Progress, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { RunRecord } from "../../protocol/state-store.ts";
import type { Change, Changes, Settlement, Transaction } from "../../protocol/transaction.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { addChanges, noChanges } from "../../toolkit/changes.ts";
import { deletionOf } from "../../toolkit/deletion.ts";
import { unite } from "../../toolkit/types.ts";
import { columnsAmong, sameShape } from "../../toolkit/vectors.ts";
import {
  asLeaseLost,
  checkLease,
  forgetPass,
  kept,
  savePass,
  saveProgress,
  saveRun,
  saveStates,
} from "./bookkeeping.ts";
import { type Copy, copyTargets, describeCopy, prepareCopy } from "./copies.ts";
import { fetchPages } from "./fetch.ts";
import { type Loader, tableLoader } from "./loader.ts";
import { quotedSystem, timestamp, truncateCopy, type Writing } from "./merge.ts";
import { PassTables, type PassTable } from "./pass-tables.ts";
import { Pending } from "./pending.ts";
import { replaceCopy } from "./replace.ts";
import type { Session } from "./session.ts";
import { goneKeys, missingKeys, settleDirect, settleKeys, settlementOf, settleRows } from "./settle.ts";
import { rowHash, type Stage, staged, stageTargets } from "./stage.ts";

/** The one transaction under way of a warehouse. */
export class DuckdbTransaction implements Transaction {
  readonly #session: Session;
  readonly #context: DestinationContext;
  readonly #lease: number;
  /** Stamps the rows that are written: ISO 8601, UTC. */
  readonly #stamp: string;
  readonly #passes: PassTables;
  readonly #onEnd: () => void;
  readonly #changes = new Map<string, Changes>();
  /** By table id. */
  readonly #copies = new Map<string, Copy>();
  readonly #pending = new Map<string, Pending>();
  /** By relation: batches on their way to a copy or a stage. */
  readonly #loaders = new Map<string, { readonly shape: Rows; readonly loader: Loader; readonly table: string }>();
  /** Passes that were closed or abandoned here: their progress is no longer kept. */
  readonly #ended = new Set<string>();
  #over = false;

  private constructor(session: Session, context: DestinationContext, lease: number, stamp: string, onEnd: () => void) {
    this.#session = session;
    this.#context = context;
    this.#lease = lease;
    this.#stamp = stamp;
    this.#passes = new PassTables(session, context);
    this.#onEnd = onEnd;
  }

  static async begin(
    session: Session,
    context: DestinationContext,
    lease: number,
    stamp: string,
    onEnd: () => void,
  ): Promise<DuckdbTransaction> {
    await session.run("BEGIN");
    return new DuckdbTransaction(session, context, lease, stamp, onEnd);
  }

  async open(pass: Pass): Promise<void> {
    for (const table of pass.tables) {
      await this.flush(table.id);
      const known = await this.#passes.find(pass.id, table.id);
      if (known !== null) continue;
      const replaces = pass.replace && (await describeCopy(this.#session, this.#context, table.id)) !== null;
      const copy = replaces ? await this.#copy(table.id) : await this.#prepare(table);
      await this.#passes.add(pass, table, copy, replaces);
    }
    await savePass(this.#session, this.#context.connection, pass);
  }

  async abandon(pass: Pass): Promise<void> {
    for (const table of pass.tables) await this.flush(table.id);
    await this.#end(pass.id);
  }

  async write(pass: Pass, _split: Split | null, operation: Change): Promise<void> {
    const id = operation.kind === "schema" ? operation.table.id : operation.table;
    const entry = await this.#passTable(pass, id);
    if ("rows" in operation) this.#session.storage.vet(entry.table, operation.rows);
    switch (operation.kind) {
      case "schema":
        return this.#reshape(pass, entry, operation.table);
      case "truncate":
        this.#mustMerge(entry, pass, operation.kind);
        await this.flush(id);
        return this.#count(id, await truncateCopy(this.#writing(id), await this.#copy(id)));
      case "keys":
        if (entry.mode !== "keys") throw notIn(operation.kind, pass, id);
        return this.#load(entry.stage!, entry.table, operation.rows);
      case "upsert":
        return this.#upsert(entry, operation.rows);
      case "update":
      case "delete":
        this.#mustMerge(entry, pass, operation.kind);
        return (await this.#pendingOf(entry.table)).write(operation.kind, operation.rows);
    }
  }

  async settlement(pass: Pass, { id }: Table): Promise<Settlement> {
    const { mode, table, stage, copy } = await this.#inSight(pass, id);
    return settlementOf(this.#session, mode, pass, table, copy, stage);
  }

  async *missing(pass: Pass, { id }: Table): AsyncGenerator<Rows> {
    const { mode, table, stage, copy } = await this.#inSight(pass, id);
    if (mode === "keys") yield* this.#keys(table, copy, missingKeys(table, copy, stage!));
  }

  async *gone(pass: Pass, { id }: Table): AsyncGenerator<Rows> {
    const { table, stage, copy } = await this.#inSight(pass, id);
    if (stage !== null) yield* this.#keys(table, copy, goneKeys(pass, table, copy, stage));
  }

  async close(pass: Pass, states: ReadonlyMap<string, TableState>): Promise<void> {
    for (const { id } of pass.tables) {
      await this.flush(id);
      const entry = await this.#passTable(pass, id);
      this.#count(id, await this.#settle(pass, entry));
    }
    await this.#end(pass.id);
    await saveStates(this.#session, this.#context.connection, states);
  }

  async reset(tables: readonly string[], drop: boolean): Promise<void> {
    const { connection } = this.#context;
    for (const pass of await this.#passes.of(tables)) await this.#end(pass);
    for (const id of tables) {
      await this.flush(id);
      await this.#session.run(
        `DELETE FROM ${kept(this.#session, "tables", connection)} WHERE connection = ? AND id = ?`,
        [connection, id],
      );
      if (!drop) continue;
      const copy = await describeCopy(this.#session, this.#context, id);
      if (copy !== null) await this.#session.run(`DROP TABLE ${copy.relation}`);
      this.#forgetCopy(id);
      await this.#session.run(
        `DELETE FROM ${kept(this.#session, "copies", connection)} WHERE connection = ? AND id = ?`,
        [connection, id],
      );
    }
  }

  async record(run: RunRecord): Promise<void> {
    await saveRun(this.#session, this.#context.connection, run);
  }

  async commit(progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>> {
    await this.flush(null);
    const { connection } = this.#context;
    const open = progress.filter(({ pass }) => !this.#ended.has(pass));
    try {
      await checkLease(this.#session, connection, this.#lease);
      await saveProgress(this.#session, connection, open);
      await this.#session.run("COMMIT");
    } catch (thrown) {
      throw await asLeaseLost(thrown, this.#session, connection, this.#lease);
    }
    this.#over = true;
    this.#onEnd();
    return this.#changes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      // What is on its way need not arrive.
      this.#session.interrupt();
      await this.#session.rollback();
    } finally {
      this.#onEnd();
    }
  }

  /** Puts everything that was written to a table (`null`: to all) where queries see it. */
  async flush(table: string | null): Promise<void> {
    for (const [relation, { loader, table: owner }] of this.#loaders) {
      if (table !== null && table !== owner) continue;
      await loader.flush();
      this.#loaders.delete(relation);
    }
    for (const [id, pending] of this.#pending) {
      if (table === null || table === id) this.#count(id, await pending.merge());
    }
  }

  /** A table of a pass and its copy, with everything that was written so far in sight of queries. */
  async #inSight(pass: Pass, id: string): Promise<PassTable & { readonly copy: Copy }> {
    await this.flush(id);
    return { ...(await this.#passTable(pass, id)), copy: await this.#copy(id) };
  }

  /** The rows of a query of keys by the names of the stage. */
  #keys(table: Table, copy: Copy, query: string): AsyncGenerator<Rows> {
    const columns = table.key.map((name) => {
      const { type } = table.columns.find((column) => column.name === name)!;
      return { name, sql: staged(name), type, stored: copy.columns.get(name)! };
    });
    return fetchPages(this.#session, query, columns);
  }

  async #upsert(entry: PassTable, rows: Rows): Promise<void> {
    const { mode, table, stage } = entry;
    if (mode === "set aside" || mode === "replace") return this.#load(stage!, table, rows);
    if (mode === "direct") return this.#append(table, rows);
    if (table.key.length === 0)
      throw new HeadwatersError("DEFECT", `table "${table.id}" has no key: only full passes can read it`);
    if (mode === "keys") await this.#load(stage!, table, columnsAmong(rows, stage!.columns));
    return (await this.#pendingOf(table)).write("upsert", rows);
  }

  /** Straight into the copy, which has nothing yet that a row could be compared with. */
  async #append(table: Table, rows: Rows): Promise<void> {
    const copy = await this.#copy(table.id);
    const { synced, deleted } = quotedSystem(copy);
    const computed = [
      { sql: synced, value: timestamp(this.#stamp) },
      { sql: deleted, value: "FALSE" },
    ];
    await this.#push(copy.relation, rows, table.id, () =>
      tableLoader(this.#session, copy.relation, copyTargets(copy), computed, table.id, rows),
    );
    this.#count(table.id, { ...noChanges, inserted: rows.length });
  }

  async #load(stage: Stage, table: Table, rows: Rows): Promise<void> {
    const computed = table.key.length === 0 ? [rowHash(table, rows)] : [];
    await this.#push(stage.relation, rows, table.id, () =>
      tableLoader(this.#session, stage.relation, stageTargets(stage), computed, table.id, rows),
    );
  }

  async #push(relation: string, rows: Rows, table: string, make: () => Loader): Promise<void> {
    const known = this.#loaders.get(relation);
    if (known !== undefined && sameShape(known.shape, rows)) return known.loader.push(rows);
    await known?.loader.flush();
    const loader = make();
    this.#loaders.set(relation, { shape: rows, loader, table });
    await loader.push(rows);
  }

  async #pendingOf(table: Table): Promise<Pending> {
    const known = this.#pending.get(table.id);
    if (known !== undefined) return known;
    const pending = new Pending(this.#writing(table.id), await this.#copy(table.id), table);
    this.#pending.set(table.id, pending);
    return pending;
  }

  /** From here on the table has the columns of both. */
  async #reshape(pass: Pass, entry: PassTable, table: Table): Promise<void> {
    await this.flush(table.id);
    const united = unite(entry.table, table);
    if (entry.mode !== "replace") await this.#prepare(united);
    await this.#passes.reshape(pass.id, united, entry.mode === "replace" ? null : await this.#copy(table.id));
  }

  async #settle(pass: Pass, { mode, table, stage }: PassTable): Promise<Changes> {
    if (mode === "merge") return noChanges;
    const copy = await this.#copy(table.id);
    const writing = this.#writing(table.id);
    switch (mode) {
      case "direct":
        return settleDirect(this.#session, table, copy);
      case "set aside":
        return settleRows(writing, pass, table, copy, stage!);
      case "keys":
        return settleKeys(writing, pass, table, copy, stage!);
      case "replace":
        this.#forgetCopy(table.id);
        return replaceCopy(writing, this.#context, table, copy, stage!);
    }
  }

  #writing(table: string): Writing {
    return { session: this.#session, stamp: this.#stamp, deletion: deletionOf(this.#context, table) };
  }

  async #end(pass: string): Promise<void> {
    await this.#passes.drop(pass);
    await forgetPass(this.#session, this.#context.connection, pass);
    this.#ended.add(pass);
  }

  async #passTable(pass: Pass, id: string): Promise<PassTable> {
    const entry = await this.#passes.find(pass.id, id);
    if (entry === null)
      throw new HeadwatersError("DEFECT", `pass ${pass.id} is not open, or does not have a table "${id}"`);
    return entry;
  }

  async #prepare(table: Table): Promise<Copy> {
    this.#forgetCopy(table.id);
    const copy = await prepareCopy(this.#session, this.#context, table);
    this.#copies.set(table.id, copy);
    return copy;
  }

  async #copy(id: string): Promise<Copy> {
    const copy = this.#copies.get(id) ?? (await describeCopy(this.#session, this.#context, id));
    if (copy === null) {
      throw new HeadwatersError("DESTINATION_UNUSABLE", `the copy of table "${id}" was dropped while a pass was open`, {
        hint: "Run reset for this table and sync again.",
      });
    }
    this.#copies.set(id, copy);
    return copy;
  }

  #forgetCopy(id: string): void {
    this.#copies.delete(id);
    this.#pending.delete(id);
  }

  #count(table: string, changes: Changes): void {
    this.#changes.set(table, addChanges(this.#changes.get(table) ?? noChanges, changes));
  }

  #mustMerge({ mode, table }: PassTable, pass: Pass, kind: Operation["kind"]): void {
    if (mode !== "merge" || table.key.length === 0) throw notIn(kind, pass, table.id);
  }
}

function notIn(kind: Operation["kind"], pass: Pass, table: string): HeadwatersError {
  return new HeadwatersError("DEFECT", `table "${table}": a ${pass.kind} pass can't have the operation ${kind}`);
}
