import { HeadwatersError } from "../../protocol/errors.ts";
import type { Pass, Progress, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { RunRecord } from "../../protocol/state-store.ts";
import type { Change, Changes, Deletes, Settlement, Transaction } from "../../protocol/transaction.ts";
import type { Table, TableState } from "../../protocol/table.ts";
import { addChanges, noChanges } from "../../toolkit/changes.ts";
import { deletionOf } from "../../toolkit/deletion.ts";
import { unite } from "../../toolkit/types.ts";
import { columnsAmong, sameShape } from "../../toolkit/vectors.ts";
import { asLeaseLost, checkLease, checkProgress } from "./bookkeeping.ts";
import { forgetRuns, saveRun } from "./runs.ts";
import { type Copies, copyTargets, countLive, quotedSystem } from "./copies.ts";
import type { Into, Loader, Session, Writing } from "./dialect.ts";
import { Held, typesOf, withGroups } from "./held.ts";
import type { KeptRows } from "./ledger.ts";
import { Membership } from "./membership.ts";
import { truncateCopy } from "./merge.ts";
import { type By, keepsOrder, PassTables, type PassTable } from "./pass-tables.ts";
import { Pending } from "./pending.ts";
import { replaceCopy } from "./replace.ts";
import { replay } from "./replay.ts";
import { Seals } from "./seals.ts";
import { loadShared, type Shared } from "./shared.ts";
import { showTables } from "./shown.ts";
import { goneKeys, isUnchanged, missingKeys, settleKeys, settlementOf, settleRows } from "./settle.ts";
import { keyPages, stageTargets } from "./stage.ts";
import { stored } from "./stored-json.ts";
import type { Copy, Mode } from "./model.ts";

/** The open transaction of a warehouse; there is one at a time. */
export class SqlTransaction implements Transaction {
  readonly #session: Session;
  readonly #context: DestinationContext;
  readonly #by: By;
  readonly #passes: PassTables;
  readonly #membership: Membership | null;
  readonly #held: Held;
  readonly #seals: Seals;
  readonly #shared: Shared;
  readonly #onEnd: (shared: Shared | null) => void;
  readonly #changes = new Map<string, Changes>();
  readonly #pending = new Map<string, Pending>();
  /** Loaders into a copy or a stage, by relation. */
  readonly #loaders = new Map<string, { readonly shape: Rows; readonly loader: Loader; readonly table: string }>();
  /** Passes that this transaction closed or abandoned. Their progress is not saved. */
  readonly #ended = new Set<string>();
  #over = false;

  private constructor(
    session: Session,
    context: DestinationContext,
    shared: Shared,
    by: By,
    onEnd: (shared: Shared | null) => void,
  ) {
    this.#session = session;
    this.#context = context;
    this.#shared = shared;
    this.#by = by;
    this.#passes = new PassTables(session, context, shared.ledger, by);
    this.#membership = by.member ? new Membership(session, context, shared.ledger, by.lease, this.#passes) : null;
    this.#held = new Held(session, shared.ledger);
    this.#seals = new Seals(session, shared.ledger, by.stamp, by.member);
    this.#onEnd = onEnd;
  }

  /** `shared`: from the last transaction, if it was committed. `onEnd` is given what the next one may share. */
  static async begin(
    session: Session,
    context: DestinationContext,
    shared: Shared | null,
    by: Omit<By, "number">,
    onEnd: (shared: Shared | null) => void,
  ): Promise<SqlTransaction> {
    await session.run(session.dialect.begin);
    const known = shared ?? (await loadShared(session, context));
    const numbered = by.member || known.ledger.pass_tables.all().some(({ ordinal }) => Number(ordinal) < 0);
    const number = numbered ? await session.dialect.team!.number(session) : null;
    return new SqlTransaction(session, context, known, { ...by, number }, onEnd);
  }

  async open(pass: Pass): Promise<void> {
    for (const table of pass.tables) {
      this.#session.dialect.vet(table, null);
      await this.#membership?.exclude(pass, table.id);
      await this.flush(table.id);
      if (this.#passes.find(pass.id, table.id) !== null) continue;
      const known = await this.#copies.find(table.id);
      const replaces = pass.replace && known !== null;
      const copy = replaces ? known : await this.#prepare(table);
      const mode = replaces ? "replace" : await this.#modeOf(pass, table, known);
      await this.#passes.add(pass, table, copy, mode);
      await this.#ready(mode, table, copy);
      if (this.#membership !== null && mode === "direct") this.#seals.lose(table.id);
    }
    this.#shared.ledger.passes.set({ id: pass.id, pass: stored(pass) });
  }

  async abandon(pass: Pass): Promise<void> {
    for (const { id } of pass.tables) await this.#membership?.exclude(pass, id);
    for (const { id } of pass.tables) await this.#flushRows(id);
    await this.#giveUp(pass.id);
  }

  async write(pass: Pass, _split: Split | null, operation: Change): Promise<void> {
    if (operation.kind === "schema") return this.#reshape(pass, operation.table);
    const entry = this.#checked(pass, operation);
    switch (operation.kind) {
      case "truncate":
        await this.flush(operation.table);
        return this.#count(
          operation.table,
          await truncateCopy(this.#writing(entry.table), await this.#copy(operation.table)),
        );
      case "keys":
        return this.#setAside(entry, operation.rows);
      case "upsert":
        return this.#upsert(entry, operation.rows);
      case "update":
      case "delete":
        return (await this.#pendingOf(entry.table)).write(operation.kind, operation.rows);
    }
  }

  async hold(pass: Pass, split: Split, operation: Change): Promise<void> {
    if (operation.kind === "schema") return this.#reshape(pass, operation.table);
    const entry = this.#checked(pass, operation);
    await this.#held.write(pass, split, entry, await this.#copy(operation.table), operation);
  }

  async keep(pass: Pass, split: Split): Promise<void> {
    for (const { run, groups } of withGroups(await this.#held.of(pass.id, split.id))) {
      const { entry, copy } = await this.#inSight(pass, run.table);
      if (entry.mode === "direct") this.#seals.lose(run.table);
      await this.#membership?.merging(run.table);
      const kept = await replay(this.#writing(entry.table), pass, entry, copy, run, groups?.stage ?? null);
      this.#count(run.table, kept.changes);
      // Later operations must start from the new copy.
      this.#pending.delete(run.table);
      this.#copies.set(kept.copy);
      for (const done of groups === null ? [run] : [groups, run]) await this.#held.drop(done);
    }
  }

  async discard(pass: Pass, split: Split | null): Promise<void> {
    if (split === null) for (const { id } of pass.tables) await this.#membership?.exclude(pass, id);
    for (const run of await this.#held.of(pass.id, split?.id ?? null)) await this.#held.drop(run);
  }

  async count({ id }: Table): Promise<number> {
    const copy = await this.copy(id);
    return copy === null ? 0 : countLive(this.#session, copy);
  }

  async settlement(pass: Pass, { id }: Table): Promise<Settlement> {
    await this.#membership?.exclude(pass, id);
    await this.#flushRows(id);
    const entry = this.#passTable(pass, id);
    const inMemory = entry.unstaged !== null;
    if (inMemory && (await isUnchanged(this.#session, entry, await this.#copy(id))))
      return { empty: entry.unstaged.batches.length === 0, missing: 0, gone: 0 };
    const { entry: staged, copy } = await this.#inSight(pass, id);
    return settlementOf(this.#session, pass, staged, copy);
  }

  async *missing(pass: Pass, { id }: Table): AsyncGenerator<Rows> {
    const { entry, copy } = await this.#inSight(pass, id);
    const { mode, table, stage } = entry;
    if (mode === "keys")
      yield* keyPages(this.#session, table, copy, missingKeys(this.#session.dialect, pass, table, copy, stage!));
  }

  async *gone(pass: Pass, { id }: Table): AsyncGenerator<Rows> {
    const { entry, copy } = await this.#inSight(pass, id);
    const { table, stage } = entry;
    if (stage !== null)
      yield* keyPages(this.#session, table, copy, goneKeys(this.#session.dialect, pass, table, copy, stage));
  }

  async close(pass: Pass, states: ReadonlyMap<string, TableState>, deletes: Deletes = "find"): Promise<void> {
    for (const { id } of pass.tables) {
      await this.#membership?.exclude(pass, id);
      if (deletes === "none") await this.#flushRows(id);
      else await this.flush(id);
      const entry = this.#passTable(pass, id);
      this.#count(id, await this.#settle(pass, entry, deletes));
      if (readsAll(pass, deletes)) await this.#seals.renew(entry.table, await this.#copy(id));
    }
    await this.#end(pass.id);
    await showTables(this.#session, this.#context, this.#shared, states, this.#by.stamp);
    for (const [id, state] of states) this.#shared.ledger.tables.set({ id, state: stored(state) });
  }

  async reset(tables: readonly string[], drop: boolean): Promise<void> {
    for (const id of tables) {
      await this.#membership?.exclude(null, id);
      await this.flush(id);
    }
    for (const pass of this.#passes.of(tables)) await this.#giveUp(pass);
    this.#shared.ledger.tables.delete(({ id }) => tables.includes(id as string));
    if (!drop) return;
    for (const id of tables) {
      const copy = await this.#copies.find(id);
      if (copy !== null) await this.#copies.drop(copy);
      this.#pending.delete(id);
      this.#copies.disown(id);
      this.#seals.forget(id);
    }
  }

  async record(run: RunRecord): Promise<void> {
    const { connection, keepRuns } = this.#context;
    await saveRun(this.#session, connection, run);
    if (run.ended === null || keepRuns === undefined) return;
    await forgetRuns(this.#session, connection, new Date(Date.parse(run.ended) - keepRuns).toISOString());
  }

  async commit(progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>> {
    await this.flush(null);
    await this.#held.flush();
    const { connection } = this.#context;
    const open = progress.filter(({ pass }) => !this.#ended.has(pass));
    try {
      if (this.#membership !== null) await this.#membership.check(open);
      else await checkLease(this.#session, connection, this.#by.lease, this.#by.stamp);
      this.#seals.save();
      await this.#saveBookkeeping(open);
      await this.#session.run("COMMIT");
    } catch (thrown) {
      throw await asLeaseLost(thrown, this.#session, connection, this.#by.lease);
    }
    this.#over = true;
    this.#onEnd(this.#shared);
    return this.#changes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      await this.#session.rollback();
    } finally {
      this.#onEnd(null);
    }
  }

  /** Flushes all writes to a table (`null`: to all tables), so that queries see them. */
  async flush(table: string | null): Promise<void> {
    for (const entry of this.#passes.unstaged) if (table === null || table === entry.table.id) await this.#stage(entry);
    await this.#flushRows(table);
  }

  /** Flushes writes to copies and to stages that exist. */
  async #flushRows(table: string | null): Promise<void> {
    for (const [relation, { loader, table: owner }] of this.#loaders) {
      if (table !== null && table !== owner) continue;
      await loader.flush();
      this.#loaders.delete(relation);
    }
    for (const [id, pending] of this.#pending) {
      if (table !== null && table !== id) continue;
      await this.#membership?.merging(id);
      const { changes, copy } = await pending.merge();
      this.#count(id, changes);
      this.#copies.set(copy);
    }
  }

  /** The copy of a table, with all writes so far; `null`: there is none. */
  async copy(id: string): Promise<Copy | null> {
    await this.#flushRows(id);
    return this.#copies.find(id);
  }

  get #copies(): Copies {
    return this.#shared.copies;
  }

  async #saveBookkeeping(progress: readonly Progress[]): Promise<void> {
    const { ledger } = this.#shared;
    this.#passes.saveCounters();
    await ledger.passes.flush(this.#session);
    await checkProgress(this.#session, this.#context.connection, progress);
    for (const { asOf, state, ...entry } of progress)
      ledger.progress.set({ ...entry, state: stored(state), as_of: asOf ?? null });
    for (const rows of Object.values(ledger) as KeptRows[]) await rows.flush(this.#session);
  }

  /** A table of a pass and its copy, after all writes so far were flushed. */
  async #inSight(pass: Pass, id: string): Promise<{ readonly entry: PassTable; readonly copy: Copy }> {
    await this.flush(id);
    return { entry: this.#passTable(pass, id), copy: await this.#copy(id) };
  }

  async #upsert(entry: PassTable, rows: Rows): Promise<void> {
    const { mode, table, stage } = entry;
    if (mode === "set aside" || mode === "replace") return this.#setAside(entry, rows);
    if (mode === "direct") return this.#append(table, rows);
    if (table.key.length === 0)
      throw new HeadwatersError("DEFECT", `table "${table.id}" has no key: only full passes can read it`);
    if (mode === "keys") await this.#setAside(entry, columnsAmong(rows, stage!.columns));
    return (await this.#pendingOf(table)).write("upsert", rows);
  }

  /** Appends rows to the copy, which has no older rows to compare with. */
  async #append(table: Table, rows: Rows): Promise<void> {
    const copy = await this.#copy(table.id);
    this.#seals.lose(table.id);
    const { synced, deleted } = quotedSystem(this.#session.dialect, copy);
    const constants = [
      { sql: synced, value: this.#by.stamp },
      { sql: deleted, value: false },
    ];
    const targets = copyTargets(this.#session, copy, table);
    await this.#push(table, { relation: copy.relation, targets, constants, hashed: false, counter: null }, rows);
    this.#count(table.id, { ...noChanges, inserted: rows.length });
  }

  async #setAside(entry: PassTable, rows: Rows): Promise<void> {
    if (entry.unstaged?.take(rows) === true) return;
    const { table, stage, counter } = entry.unstaged === null ? entry : await this.#stage(entry);
    const targets = stageTargets(this.#session.dialect, stage!);
    const hashed = table.key.length === 0;
    await this.#push(table, { relation: stage!.relation, targets, constants: [], hashed, counter }, rows);
  }

  /** Creates a stage, and loads the rows that waited for it. */
  async #stage(entry: PassTable): Promise<PassTable> {
    const staged = await this.#passes.createStage(entry);
    for (const rows of entry.unstaged!.batches) await this.#setAside(staged, rows);
    return staged;
  }

  async #push(table: Table, into: Into, rows: Rows): Promise<void> {
    const known = this.#loaders.get(into.relation);
    if (known !== undefined && sameShape(known.shape, rows)) return known.loader.push(rows);
    await known?.loader.flush();
    this.#loaders.delete(into.relation);
    const loader = await this.#session.loader(table, into, rows);
    this.#loaders.set(into.relation, { shape: rows, loader, table: table.id });
    await loader.push(rows);
  }

  async #pendingOf(table: Table): Promise<Pending> {
    const known = this.#pending.get(table.id);
    if (known !== undefined) return known;
    const pending = new Pending(this.#writing(table), await this.#copy(table.id), table);
    this.#pending.set(table.id, pending);
    return pending;
  }

  /** Gives the table of the pass the columns of both its old and its new schema. */
  async #reshape(pass: Pass, table: Table): Promise<void> {
    const entry = this.#passTable(pass, table.id);
    this.#session.dialect.vet(table, null);
    await this.flush(table.id);
    const united = unite(entry.table, table);
    if (entry.mode === "direct" && !keepsOrder(this.#session.dialect, united)) {
      await this.#oneOfEach(entry.table);
      this.#passes.mergeFromNow(pass.id, table.id);
    }
    const copy = entry.mode === "replace" ? null : await this.#prepare(united);
    await this.#passes.reshape(pass.id, united, copy);
    const reshaped = this.#passTable(pass, table.id);
    await this.#held.reshape(pass.id, table.id, typesOf(this.#session, reshaped, copy));
  }

  async #settle(pass: Pass, { mode, table, stage }: PassTable, deletes: Deletes): Promise<Changes> {
    if (mode === "merge" || (mode === "keys" && deletes !== "find")) return noChanges;
    const old = await this.#copy(table.id);
    const writing = this.#writing(table, readsAll(pass, deletes) ? "at the end" : "as it changes");
    if (mode === "keys") return settleKeys(writing, pass, table, old, stage!);
    if (mode === "direct") {
      const { merging } = this.#session.dialect;
      const { copy, removed } = await merging.finish(this.#session, table, old, pass.distinct === true);
      this.#copies.set(copy);
      return { ...noChanges, inserted: -removed };
    }
    if (mode === "replace" && deletes === "hold")
      throw new HeadwatersError("DEFECT", `pass ${pass.id} replaces the copy: its deletes can't be held back`);
    if (mode === "replace") this.#pending.delete(table.id);
    const { changes, copy } =
      mode === "replace"
        ? await replaceCopy(writing, this.#copies, pass, table, old, stage!)
        : await settleRows(writing, pass, table, old, stage!, deletes);
    this.#copies.set(copy);
    return changes;
  }

  /** Ends a pass that was not settled. The rows that it appended to a copy stay, once per key, as later passes need. */
  async #giveUp(pass: string): Promise<void> {
    for (const table of this.#passes.direct(pass)) await this.#oneOfEach(table);
    await this.#end(pass);
  }

  /** Leaves the last row of each key of those that were appended to a copy. */
  async #oneOfEach(table: Table): Promise<void> {
    const copy = await this.#copies.find(table.id);
    if (copy === null) return;
    this.#seals.lose(table.id);
    const { merging } = this.#session.dialect;
    const { copy: finished, removed } = await merging.finish(this.#session, table, copy, false);
    this.#count(table.id, { ...noChanges, inserted: -removed });
    this.#copies.set(finished);
  }

  async #end(pass: string): Promise<void> {
    for (const run of await this.#held.of(pass, null)) await this.#held.drop(run);
    await this.#passes.drop(pass);
    this.#shared.ledger.progress.delete((row) => row["pass"] === pass);
    this.#shared.ledger.passes.delete((row) => row["id"] === pass);
    this.#ended.add(pass);
  }

  /** `copy`: as it was before the pass; `null`: there was none. */
  async #modeOf(pass: Pass, table: Table, copy: Copy | null): Promise<Mode> {
    if (pass.kind === "keys") return "keys";
    if (pass.kind !== "full") return "merge";
    const ordered = keepsOrder(this.#session.dialect, table);
    if (!ordered || table.key.length === 0) return "set aside";
    if (copy === null) return "direct";
    const rows = await this.#session.number(`SELECT count(*) FROM (SELECT 1 FROM ${copy.relation} LIMIT 1) found`);
    return rows === 0 ? "direct" : "set aside";
  }

  async #ready(mode: Mode, table: Table, copy: Copy): Promise<void> {
    this.#copies.set(await this.#session.dialect.merging.prepare(this.#session, mode, table, copy));
  }

  /** `sealing`: whether the pass renews the seal at its end, whatever it changed. */
  #writing(table: Table, sealing: "as it changes" | "at the end" = "as it changes"): Writing {
    return {
      session: this.#session,
      stamp: this.#by.stamp,
      deletion: deletionOf(this.#context, table.id),
      changing: async (which, work) => {
        if (sealing === "at the end") return work();
        return this.#seals.changing(table, await this.#copy(table.id), which, work);
      },
    };
  }

  #passTable(pass: Pass, id: string): PassTable {
    const entry = this.#passes.find(pass.id, id);
    if (entry === null)
      throw new HeadwatersError("DEFECT", `pass ${pass.id} is not open, or does not have a table "${id}"`);
    return entry;
  }

  #prepare(table: Table): Promise<Copy> {
    this.#pending.delete(table.id);
    return this.#copies.prepare(table);
  }

  async #copy(id: string): Promise<Copy> {
    const copy = await this.#copies.find(id);
    if (copy !== null) return copy;
    throw new HeadwatersError("DESTINATION_UNUSABLE", `the copy of table "${id}" was dropped while a pass was open`, {
      hint: "Run reset for this table and sync again.",
    });
  }

  #count(table: string, changes: Changes): void {
    this.#changes.set(table, addChanges(this.#changes.get(table) ?? noChanges, changes));
  }

  /** The table of an operation. Throws if the pass can't have this operation. */
  #checked(pass: Pass, operation: Exclude<Change, { kind: "schema" }>): PassTable {
    const entry = this.#passTable(pass, operation.table);
    const { mode, table } = entry;
    if ("rows" in operation) this.#session.dialect.vet(table, operation.rows);
    const { kind } = operation;
    const fits = kind === "upsert" || (kind === "keys" ? mode === "keys" : mode === "merge" && table.key.length > 0);
    if (!fits)
      throw new HeadwatersError("DEFECT", `table "${table.id}": a ${pass.kind} pass can't have the operation ${kind}`);
    return entry;
  }
}

/**
 * Whether a pass makes the copy right, whatever was in it before. Where deletes are held back, rows that something else put
 * into the copy may be among them.
 */
function readsAll({ kind }: Pass, deletes: Deletes): boolean {
  return kind === "full" && deletes !== "hold";
}
