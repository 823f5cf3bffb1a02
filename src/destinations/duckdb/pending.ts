import type { Rows } from "../../protocol/rows.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { addChanges, noChanges } from "../../toolkit/changes.ts";
import { sameColumns, sameShape } from "../../toolkit/vectors.ts";
import type { Copy } from "./copies.ts";
import { type Loader, tableLoader } from "./loader.ts";
import { mergeRows, temporary, updateRows, type Writing } from "./merge.ts";
import { keepLast } from "./keep-last.ts";
import { createStage, type Stage, staged, stagedDeleted, stageTargets } from "./stage.ts";

/** Operations that can wait in one stage: of one key the last alone counts. */
type Family = "rows" | "update";

interface Waiting {
  readonly family: Family;
  readonly stage: Stage;
  loader: Loader;
  /** What the loader was made for. */
  kind: "upsert" | "update" | "delete";
  shape: Rows;
}

/**
 * Operations on one table that go into its copy with the next commit. They wait in a stage, as long as they are of one
 * family (and updates of the same columns), and are then merged at once.
 */
export class Pending {
  readonly #writing: Writing;
  readonly #copy: Copy;
  readonly #table: Table;
  #waiting: Waiting | null = null;
  #changes: Changes = noChanges;

  constructor(writing: Writing, copy: Copy, table: Table) {
    this.#writing = writing;
    this.#copy = copy;
    this.#table = table;
  }

  async write(kind: "upsert" | "update" | "delete", rows: Rows): Promise<void> {
    const family: Family = kind === "update" ? "update" : "rows";
    const before = this.#waiting;
    const fits = before !== null && before.family === family && (family === "rows" || sameColumns(before.shape, rows));
    if (!fits) {
      await this.#merge();
      this.#waiting = await this.#begin(family, kind, rows);
    } else if (before.kind !== kind || !sameShape(before.shape, rows)) {
      await before.loader.flush();
      Object.assign(before, { kind, shape: rows, loader: this.#loader(before.stage, kind, rows) });
    }
    await this.#waiting!.loader.push(rows);
  }

  /** Merges what waits; resolves to all changes since this was called last. */
  async merge(): Promise<Changes> {
    await this.#merge();
    const changes = this.#changes;
    this.#changes = noChanges;
    return changes;
  }

  async #begin(family: Family, kind: Waiting["kind"], rows: Rows): Promise<Waiting> {
    const { session } = this.#writing;
    const { columns } = this.#copy;
    // An update says nothing of the columns that it lacks.
    const held = family === "rows" ? columns : new Map([...columns].filter(([name]) => rows.columns.includes(name)));
    const extra = family === "rows" ? [`${stagedDeleted} BOOLEAN`] : [];
    const stage = await createStage(session, "TEMP TABLE", temporary("pending"), held, extra);
    return { family, stage, kind, shape: rows, loader: this.#loader(stage, kind, rows) };
  }

  #loader(stage: Stage, kind: Waiting["kind"], rows: Rows): Loader {
    const computed = kind === "update" ? [] : [{ sql: stagedDeleted, value: kind === "delete" ? "TRUE" : "FALSE" }];
    return tableLoader(this.#writing.session, stage.relation, stageTargets(stage), computed, this.#table.id, rows);
  }

  async #merge(): Promise<void> {
    if (this.#waiting === null) return;
    const { family, stage, loader } = this.#waiting;
    this.#waiting = null;
    await loader.flush();
    await keepLast(this.#writing.session, stage.relation, this.#table, staged);
    const columns = [...stage.columns.keys()];
    const incoming = { source: stage.relation, columns, flagged: true, before: null };
    const changes =
      family === "rows"
        ? await mergeRows(this.#writing, this.#copy, this.#table, incoming)
        : await updateRows(this.#writing, this.#copy, this.#table, stage.relation, columns);
    this.#changes = addChanges(this.#changes, changes);
    await this.#writing.session.run(`DROP TABLE ${stage.relation}`);
  }
}
