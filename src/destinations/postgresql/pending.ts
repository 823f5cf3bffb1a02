import type { Rows } from "../../protocol/rows.ts";
import type { Changes } from "../../protocol/transaction.ts";
import type { Table } from "../../protocol/table.ts";
import { addChanges, noChanges } from "../../toolkit/changes.ts";
import { sameColumns, sameShape } from "../../toolkit/vectors.ts";
import { booleanField } from "../../wire/postgres/copy-encode.ts";
import { type Copy, storedType } from "./copies.ts";
import { keepLast } from "./keep-last.ts";
import { makeRoomForKeys } from "./key-index.ts";
import { type Counter, type Loader, tableLoader } from "./loader.ts";
import { mergeRows, temporary, updateRows, type Writing } from "./merge.ts";
import { createStage, type Stage, stagedDeleted, stagedPlace, stageTargets } from "./stage.ts";

/** Operations that can wait in one stage: of one key the last alone counts. */
type Family = "rows" | "update";

interface Waiting {
  readonly family: Family;
  readonly stage: Stage;
  readonly counter: Counter;
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
  readonly #table: Table;
  #copy: Copy;
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
      const loader = await this.#loader(before.stage, before.counter, kind, rows);
      Object.assign(before, { kind, shape: rows, loader });
    }
    await this.#waiting!.loader.push(rows);
  }

  /** Merges what waits; resolves to all changes since this was called last, and to the copy as it is then. */
  async merge(): Promise<{ readonly changes: Changes; readonly copy: Copy }> {
    await this.#merge();
    const changes = this.#changes;
    this.#changes = noChanges;
    return { changes, copy: this.#copy };
  }

  async #begin(family: Family, kind: Waiting["kind"], rows: Rows): Promise<Waiting> {
    const { session } = this.#writing;
    const types = this.#table.columns.flatMap(({ name }) => {
      const type = storedType(this.#copy, name);
      // An update says nothing of the columns that it lacks.
      return type === undefined || (family === "update" && !rows.columns.includes(name)) ? [] : [[name, type] as const];
    });
    const extra = family === "rows" ? [`${stagedDeleted} boolean`] : [];
    const stage = await createStage(session, "TEMPORARY TABLE", temporary("pending"), new Map(types), extra);
    const counter = { rows: 0 };
    return { family, stage, counter, kind, shape: rows, loader: await this.#loader(stage, counter, kind, rows) };
  }

  #loader(stage: Stage, counter: Counter, kind: Waiting["kind"], rows: Rows): Promise<Loader> {
    const flag = { sql: stagedDeleted, type: "boolean", field: booleanField(kind === "delete") };
    const extras = { constants: kind === "update" ? [] : [flag], place: stagedPlace, computed: null };
    const { session } = this.#writing;
    return tableLoader(session, stage.relation, stageTargets(stage), extras, counter, this.#table.id, rows);
  }

  async #merge(): Promise<void> {
    if (this.#waiting === null) return;
    const { family, stage, loader } = this.#waiting;
    const { session } = this.#writing;
    this.#waiting = null;
    await loader.flush();
    await session.run(`ANALYZE ${stage.relation}`);
    await keepLast(session, this.#table, this.#copy, stage);
    this.#copy = await makeRoomForKeys(session, this.#table, this.#copy, stage);
    const columns = [...stage.columns.keys()];
    const incoming = { source: stage.relation, columns, flagged: true, before: null };
    const changes =
      family === "rows"
        ? await mergeRows(this.#writing, this.#copy, this.#table, incoming)
        : await updateRows(this.#writing, this.#copy, this.#table, stage.relation, columns);
    this.#changes = addChanges(this.#changes, changes);
    await session.run(`DROP TABLE ${stage.relation}`);
  }
}
