import type { Rows } from "../../protocol/rows.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { addChanges, noChanges } from "../../toolkit/changes.ts";
import { sameColumns, sameShape } from "../../toolkit/vectors.ts";
import { storedType } from "./copies.ts";
import type { Counter, Dialect, Into, Loader, Writing } from "./dialect.ts";
import { addGroups, analyze, deleteGroups, updateRows } from "./merge.ts";
import { temporary } from "./names.ts";
import { createStage, stagedDeleted, stageTargets } from "./stage.ts";
import type { Copy, Stage } from "./model.ts";

type Kind = "upsert" | "update" | "delete";

/**
 * Operations that can wait in one stage: of the operations on one key only the last takes effect. `group`: deletes by some
 * columns of the key.
 */
export type Family = "rows" | "update" | "group";

interface Waiting {
  readonly family: Family;
  readonly stage: Stage;
  readonly counter: Counter;
  loader: Loader;
  /** The loader's kind of operation. */
  kind: Kind;
  shape: Rows;
}

/**
 * Operations on one table that reach its copy with the next commit. Operations of one family (and updates of the same
 * columns) wait in one stage, and are then merged together.
 */
export class Pending {
  readonly #writing: Writing;
  readonly #table: Table;
  #copy: Copy;
  #waiting: Waiting | null = null;
  /** Deletes of groups that came before the rows that wait. */
  #groups: Stage | null = null;
  #changes: Changes = noChanges;

  constructor(writing: Writing, copy: Copy, table: Table) {
    this.#writing = writing;
    this.#copy = copy;
    this.#table = table;
  }

  async write(kind: Kind, rows: Rows): Promise<void> {
    const family = familyOf(this.#table, kind, rows);
    const before = this.#waiting;
    const fits = before !== null && before.family === family && (family === "rows" || sameColumns(before.shape, rows));
    if (!fits) {
      if (before?.family === "group" && family === "rows") await this.#putBefore(before);
      else await this.#mergeWaiting();
      this.#waiting = await this.#begin(family, kind, rows);
    } else if (before.kind !== kind || !sameShape(before.shape, rows)) {
      await before.loader.flush();
      before.loader = await this.#loader(before.stage, before.counter, kind, rows);
      before.kind = kind;
      before.shape = rows;
    }
    await this.#waiting!.loader.push(rows);
  }

  /** Merges the waiting operations. Resolves to all changes since the last call, and to the copy after them. */
  async merge(): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
    await this.#mergeWaiting();
    const changes = this.#changes;
    this.#changes = noChanges;
    return { changes, copy: this.#copy };
  }

  async #begin(family: Family, kind: Kind, rows: Rows): Promise<Waiting> {
    const { session } = this.#writing;
    const columns = waitingColumns(session.dialect, this.#table, this.#copy, family, rows);
    const relation = temporary(session, "pending");
    const stage = await createStage(session, "TEMPORARY TABLE", relation, columns, { deleted: family !== "update" });
    const counter = { rows: 0 };
    return { family, stage, counter, kind, shape: rows, loader: await this.#loader(stage, counter, kind, rows) };
  }

  #loader(stage: Stage, counter: Counter, kind: Kind, rows: Rows): Promise<Loader> {
    const { session } = this.#writing;
    return session.loader(this.#table, waitingInto(session.dialect, stage, counter, kind), rows);
  }

  async #putBefore({ stage, loader }: Waiting): Promise<void> {
    this.#waiting = null;
    await loader.flush();
    this.#groups = stage;
  }

  async #mergeWaiting(): Promise<void> {
    if (this.#waiting === null) return;
    const [{ family, stage, counter, loader }, groups] = [this.#waiting, this.#groups];
    this.#waiting = null;
    this.#groups = null;
    await loader.flush();
    const operations = { family, stage, counter, groups };
    const { changes, copy } = await mergeOperations(this.#writing, this.#table, this.#copy, operations);
    this.#copy = copy;
    this.#changes = addChanges(this.#changes, changes);
    for (const { relation } of groups === null ? [stage] : [stage, groups])
      await this.#writing.session.run(`DROP TABLE ${relation}`);
  }
}

export function familyOf({ key }: Table, kind: Kind, rows: Rows): Family {
  if (kind === "update") return "update";
  return kind === "delete" && key.some((name) => !rows.columns.includes(name)) ? "group" : "rows";
}

/** The columns of a stage for such operations: all columns, or those that the operations have. */
export function waitingColumns(
  dialect: Dialect,
  table: Table,
  copy: Copy,
  family: Family,
  rows: Rows,
): ReadonlyMap<string, Type> {
  return new Map(
    table.columns.flatMap(({ name }): [string, Type][] => {
      const type = storedType(dialect, copy, name);
      // An update does not change the columns that it lacks.
      return type === undefined || (family !== "rows" && !rows.columns.includes(name)) ? [] : [[name, type]];
    }),
  );
}

/** The loader's target for operations of one kind. */
export function waitingInto(dialect: Dialect, stage: Stage, counter: Counter, kind: Kind | "keys"): Into {
  const flagged = kind === "upsert" || kind === "delete";
  const constants = flagged ? [{ sql: stagedDeleted, value: kind === "delete" }] : [];
  return { relation: stage.relation, targets: stageTargets(dialect, stage), constants, hashed: false, counter };
}

/**
 * Merges a stage of operations into the copy. The last operation on each key takes effect. `groups`: deletes that came before
 * its rows; what the rows bring again was never gone.
 */
export async function mergeOperations(
  writing: Writing,
  table: Table,
  old: Copy,
  { family, stage, counter, groups }: Pick<Waiting, "family" | "stage" | "counter"> & { readonly groups: Stage | null },
): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
  const { session } = writing;
  const { merging } = session.dialect;
  if (groups !== null) await addGroups(writing, table, old, groups, { stage, counter });
  await analyze(session, stage.relation);
  if (family === "group") return { changes: await deleteGroups(writing, table, old, stage), copy: old };
  await merging.keepLast(session, table, stage, false);
  const copy = await merging.makeRoom(session, table, old, stage);
  const changes =
    family === "rows"
      ? await merging.merge(writing, table, copy, { stage, flagged: true, before: null })
      : await updateRows(writing, table, copy, stage);
  return { changes, copy };
}
