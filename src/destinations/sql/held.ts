import { randomUUID } from "node:crypto";
import type { Pass, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Change } from "../../protocol/transaction.ts";
import type { Type } from "../../protocol/types.ts";
import { sameShape } from "../../toolkit/vectors.ts";
import { storedType } from "./copies.ts";
import type { Counter, Loader, Session } from "./dialect.ts";
import type { KeptRow, KeptRows, Ledger } from "./ledger.ts";
import { bookkeepingSchema } from "./names.ts";
import type { PassTable } from "./pass-tables.ts";
import { type Family, familyOf, waitingColumns, waitingInto } from "./pending.ts";
import { createStage, reshapeStage } from "./stage.ts";
import { stored } from "./stored-json.ts";
import type { Copy, Stage } from "./model.ts";

type Operation = Exclude<Change, { kind: "schema" }>;

/** Consecutive operations of one split on one table that share one stage. */
export interface HeldRun {
  readonly pass: string;
  readonly split: string;
  /** The number of this run in its split. */
  readonly place: number;
  /** The id of the table. */
  readonly table: string;
  readonly kind: Family | "keys" | "truncate";
  /** `null`: for a truncate. */
  readonly stage: (Stage & { readonly name: string }) | null;
  /** The number of rows that all transactions have loaded into the stage. */
  readonly counter: Counter;
}

/** A loader of a run, with the kind and shape that it loads. */
interface Loading {
  readonly kind: Operation["kind"];
  readonly shape: Rows;
  readonly loader: Loader;
}

/**
 * Operations that no checkpoint covers yet. They are held in stages of their own, which commits make durable. They have
 * no effect on a copy until they are replayed.
 */
export class Held {
  readonly #session: Session;
  readonly #rows: KeptRows;
  /** The last run that this transaction has written to, by pass, split and table. */
  readonly #last = new Map<string, { readonly run: HeldRun; loading: Loading | null }>();

  constructor(session: Session, { held }: Ledger) {
    this.#session = session;
    this.#rows = held;
  }

  /** `copy` gives the types of the columns. Operations of the split on other tables may come in between. */
  async write(pass: Pass, split: Split, entry: PassTable, copy: Copy, operation: Operation): Promise<void> {
    const key = keyOf(pass.id, split.id, operation.table);
    const last = this.#last.get(key) ?? this.#lastStored(pass.id, split.id, operation.table);
    const kind = kindOf(entry, operation);
    const columns = "rows" in operation ? this.#columns(entry, copy, operation) : new Map<string, Type>();
    let current = last;
    if (current === null || current.run.kind !== kind || !hasColumns(current.run.stage, columns)) {
      await current?.loading?.loader.flush();
      if (current !== null) this.#saveCounter(current.run);
      current = { run: await this.#begin(pass.id, split.id, operation.table, kind, columns), loading: null };
    }
    this.#last.set(key, current);
    if (!("rows" in operation)) return;
    const { loading } = current;
    if (loading === null || loading.kind !== operation.kind || !sameShape(loading.shape, operation.rows)) {
      await loading?.loader.flush();
      const { stage, counter } = current.run;
      const into = waitingInto(this.#session.dialect, stage!, counter, operation.kind);
      const loader = await this.#session.loader(entry.table, into, operation.rows);
      current.loading = { kind: operation.kind, shape: operation.rows, loader };
    }
    await current.loading!.loader.push(operation.rows);
  }

  /** The runs of a split (`null`: of all splits of the pass) in their order, after all rows were flushed. */
  async of(pass: string, split: string | null): Promise<readonly HeldRun[]> {
    await this.flush();
    return this.#of(pass).filter((run) => split === null || run.split === split);
  }

  async drop({ pass, split, place, table, stage }: HeldRun): Promise<void> {
    if (stage !== null) await this.#session.run(`DROP TABLE ${stage.relation}`);
    this.#rows.delete((row) => row["pass"] === pass && row["split"] === split && row["place"] === place);
    this.#last.delete(keyOf(pass, split, table));
  }

  /** Converts the held operations of a table to the table's current types. */
  async reshape(pass: string, table: string, types: ReadonlyMap<string, Type>): Promise<void> {
    for (const run of await this.of(pass, null)) {
      if (run.table !== table || run.stage === null) continue;
      const wanted = [...run.stage.columns].map(([name, type]): [string, Type] => [name, types.get(name) ?? type]);
      const { columns } = await reshapeStage(this.#session, run.stage, new Map(wanted));
      this.#update(run, { columns: stored([...columns]) });
      this.#last.delete(keyOf(run.pass, run.split, run.table));
    }
  }

  /** Flushes all rows, so that queries see them, and stores the stages' counters. */
  async flush(): Promise<void> {
    for (const { run, loading } of this.#last.values()) {
      await loading?.loader.flush();
      this.#saveCounter(run);
    }
    this.#last.clear();
  }

  async #begin(
    pass: string,
    split: string,
    table: string,
    kind: HeldRun["kind"],
    columns: ReadonlyMap<string, Type>,
  ): Promise<HeldRun> {
    const place = 1 + Math.max(0, ...this.#of(pass).map((run) => (run.split === split ? run.place : 0)));
    const name = kind === "truncate" ? null : `held_${randomUUID().replaceAll("-", "")}`;
    const relation = name === null ? "" : this.#relation(name);
    if (name !== null)
      await createStage(this.#session, "TABLE", relation, columns, { deleted: kind === "rows" || kind === "group" });
    this.#rows.set({ pass, split, place, id: table, kind, stage: name, columns: stored([...columns]), ordinal: 0 });
    const stage = name === null ? null : { name, relation, columns };
    return { pass, split, place, table, kind, stage, counter: { rows: 0 } };
  }

  #lastStored(pass: string, split: string, table: string): { run: HeldRun; loading: null } | null {
    const run = this.#of(pass).findLast((candidate) => candidate.split === split && candidate.table === table);
    return run === undefined ? null : { run, loading: null };
  }

  /** The runs of a pass, by split and place. */
  #of(pass: string): readonly HeldRun[] {
    const runs = this.#rows.all().filter((row) => row["pass"] === pass);
    return runs
      .map((row) => this.#runOf(row))
      .sort((a, b) => (a.split === b.split ? a.place - b.place : a.split < b.split ? -1 : 1));
  }

  #runOf(row: KeptRow): HeldRun {
    const name = row["stage"] as string | null;
    const columns = new Map(JSON.parse(row["columns"] as string) as [string, Type][]);
    return {
      pass: row["pass"] as string,
      split: row["split"] as string,
      place: Number(row["place"]),
      table: row["id"] as string,
      kind: row["kind"] as HeldRun["kind"],
      stage: name === null ? null : { name, relation: this.#relation(name), columns },
      counter: { rows: Number(row["ordinal"]) },
    };
  }

  /** The columns that a stage needs for an operation, with the types of the relation that the rows are replayed to. */
  #columns(
    entry: PassTable,
    copy: Copy,
    operation: Exclude<Operation, { kind: "truncate" }>,
  ): ReadonlyMap<string, Type> {
    const { mode, table, stage } = entry;
    if (operation.kind === "keys" || mode === "set aside" || mode === "replace") return stage!.columns;
    const family = familyOf(table, operation.kind, operation.rows);
    return waitingColumns(this.#session.dialect, table, copy, family, operation.rows);
  }

  #saveCounter(run: HeldRun): void {
    if (this.#session.dialect.numbered && run.stage !== null) this.#update(run, { ordinal: run.counter.rows });
  }

  #update({ pass, split, place }: HeldRun, values: KeptRow): void {
    const row = this.#rows.get(pass, split, String(place));
    if (row !== null) this.#rows.set({ ...row, ...values });
  }

  #relation(name: string): string {
    return this.#session.dialect.relation(bookkeepingSchema, name);
  }
}

/** Runs in their order; deletes of groups go with the rows of the same table that come next. */
export function withGroups(
  runs: readonly HeldRun[],
): readonly { readonly run: HeldRun; readonly groups: HeldRun | null }[] {
  const groups = new Map<string, HeldRun>();
  return runs.flatMap((run, index) => {
    const next = runs.slice(index + 1).find(({ table }) => table === run.table);
    if (run.kind === "group" && next?.kind === "rows") {
      groups.set(run.table, run);
      return [];
    }
    const before = groups.get(run.table) ?? null;
    groups.delete(run.table);
    return [{ run, groups: before }];
  });
}

/** The column types of the relation that a table's rows are replayed to. `copy`: `null` if the copy is replaced. */
export function typesOf(
  { dialect }: Session,
  { table, stage }: PassTable,
  copy: Copy | null,
): ReadonlyMap<string, Type> {
  return new Map(
    table.columns.map(({ name, type }): [string, Type] => [
      name,
      stage?.columns.get(name) ?? (copy === null ? undefined : storedType(dialect, copy, name)) ?? type,
    ]),
  );
}

function kindOf({ table }: PassTable, operation: Operation): HeldRun["kind"] {
  const { kind } = operation;
  return kind === "truncate" || kind === "keys" ? kind : familyOf(table, kind, operation.rows);
}

/** A run of truncates is never continued. */
function hasColumns(stage: Stage | null, columns: ReadonlyMap<string, Type>): boolean {
  return stage !== null && JSON.stringify([...stage.columns]) === JSON.stringify([...columns]);
}

function keyOf(...names: readonly [pass: string, split: string, table: string]): string {
  return names.join("\n");
}
