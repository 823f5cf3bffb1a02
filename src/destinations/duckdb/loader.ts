import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Type } from "../../protocol/types.ts";
import { typeName, widen } from "../../toolkit/types.ts";
import { rowsBytes } from "../../toolkit/vectors.ts";
import { type FeedColumn, feedName, type Slice } from "./feed.ts";
import { quote } from "./names.ts";
import type { Session } from "./session.ts";
import { duckdbType, layoutType } from "./types.ts";

/** Rows of one of DuckDB's row groups: a statement that inserts one of them compresses it as it goes. */
const groupRows = 122_880;
/** Wide rows are handed over sooner: as many bytes again may be on their way. */
const groupBytes = 12 << 20;

/** Gathers batches and hands them to DuckDB in groups, while the caller goes on with the next group. */
export class Loader {
  readonly #session: Session;
  readonly #columns: readonly FeedColumn[];
  readonly #sql: (source: string) => string;
  #queue: Slice[] = [];
  #rows = 0;
  #bytes = 0;
  #underWay: Promise<void> = Promise.resolve();

  constructor(session: Session, columns: readonly FeedColumn[], sql: (source: string) => string) {
    this.#session = session;
    this.#columns = columns;
    this.#sql = sql;
  }

  /** Resolves when there is room for more. The rows are not to be changed before `flush` resolves. */
  async push(rows: Rows): Promise<void> {
    if (rows.length === 0) return;
    this.#queue.push({ rows, from: 0, to: rows.length });
    this.#rows += rows.length;
    this.#bytes += rowsBytes(rows);
    while (this.#rows >= groupRows || this.#bytes >= groupBytes) await this.#next();
  }

  /** Resolves when DuckDB has everything. */
  async flush(): Promise<void> {
    while (this.#queue.length > 0) await this.#next();
    await this.#underWay;
  }

  /** Starts the next group once the one before has gone. */
  async #next(): Promise<void> {
    await this.#underWay;
    const group = this.#group();
    this.#underWay = this.#session.feed(this.#columns, group, this.#sql);
    // Whoever pushes or flushes next is told.
    this.#underWay.catch(() => {});
  }

  /** Up to one row group, from the head of the queue. */
  #group(): Slice[] {
    const group: Slice[] = [];
    let room = groupRows;
    while (room >= 8) {
      const slice = this.#queue.shift();
      if (slice === undefined) break;
      const rows = slice.to - slice.from;
      // Validity is copied by whole bytes.
      const taken = rows <= room ? rows : room & ~7;
      group.push({ ...slice, to: slice.from + taken });
      if (taken < rows) this.#queue.unshift({ ...slice, from: slice.from + taken });
      this.#rows -= taken;
      room -= taken;
      if (taken === rows) this.#bytes -= rowsBytes(slice.rows);
    }
    return group;
  }
}

/** A column that can be written: its name as SQL has it, and the type that it has there. */
export interface Target {
  readonly sql: string;
  readonly type: Type;
}

/** A column that is written from an expression over the others of the feed. */
export interface Computed {
  readonly sql: string;
  /** Given the expression of each column of the batch, by its name. */
  readonly value: string;
}

/**
 * A loader of batches that look like `rows` into `relation`. Throws `DEFECT` for a column that is not there, and
 * `VALUE_OUT_OF_RANGE` for one whose values the type there can't hold.
 */
export function tableLoader(
  session: Session,
  relation: string,
  targets: ReadonlyMap<string, Target>,
  computed: readonly Computed[],
  table: string,
  rows: Rows,
): Loader {
  const cast = castColumns(table, targets, rows);
  const names = [...cast.map(({ target }) => target.sql), ...computed.map(({ sql }) => sql)].join(", ");
  const inner = cast.map(({ target, expression }) => `${expression} AS ${target.sql}`).join(", ");
  const values = [...cast.map(({ target }) => target.sql), ...computed.map(({ value }) => value)].join(", ");
  return new Loader(
    session,
    cast.map(({ feed }) => feed),
    (source) => `INSERT INTO ${relation} (${names}) SELECT ${values} FROM (SELECT ${inner} FROM ${source})`,
  );
}

/** How each column of a batch (or those at `indexes`) gets the type that its target has. */
export function castColumns(
  table: string,
  targets: ReadonlyMap<string, Target>,
  rows: Rows,
  indexes: readonly number[] = [...rows.columns.keys()],
): readonly {
  readonly name: string;
  readonly target: Target;
  readonly feed: FeedColumn;
  readonly expression: string;
}[] {
  return indexes.map((index) => {
    const name = rows.columns[index]!;
    const target = targets.get(name);
    const { type } = rows.values[index]!;
    if (target === undefined)
      throw new HeadwatersError("DEFECT", `table "${table}": a batch has a column "${name}" that the table has not`);
    if (duckdbType(widen(target.type, type)) !== duckdbType(target.type)) {
      throw new HeadwatersError(
        "VALUE_OUT_OF_RANGE",
        `table "${table}", column ${quote(name)}: the copy's ${typeName(target.type)} can't hold every ${typeName(type)}`,
        { hint: "Sync again: the column is widened then." },
      );
    }
    const layout = layoutType(type);
    const wanted = duckdbType(target.type);
    const expression = layout === wanted ? feedName(index) : `CAST(${feedName(index)} AS ${wanted})`;
    return { name, target, feed: { index, type }, expression };
  });
}
