import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { typeName, widen } from "../../toolkit/types.ts";
import { reservedBytes, rowsBytes, sameShape } from "../../toolkit/vectors.ts";
import { type FeedColumn, feedName, type Slice } from "./feed.ts";
import type { Into, Loader, Row, Target } from "../sql/dialect.ts";
import { timestamp } from "../sql/names.ts";
import { rowHash, staged, stagedId, stageTargets } from "../sql/stage.ts";
import type { Feeding } from "./feeding.ts";
import { canonical, converted, duckdbType, layoutType } from "./types.ts";

/** The rows of a DuckDB row group. A statement that inserts a whole group compresses it at once. */
const groupRows = 122_880;
/** The maximum bytes of a group, for wide rows. A second group of this size may be loading at the same time. */
const groupBytes = 12 << 20;

/** DuckDB has no SELECT without columns, which tables in PostgreSQL may be. */
const noColumns = "NULL";

/** Collects batches and loads them into DuckDB in groups, while the caller prepares the next group. */
class GroupLoader implements Loader {
  readonly #session: Feeding;
  readonly #columns: readonly FeedColumn[];
  readonly #sql: (source: string) => string;
  readonly #loaded: (group: readonly Slice[]) => Promise<void>;
  #queue: Slice[] = [];
  #rows = 0;
  #bytes = 0;
  #underWay: Promise<unknown> = Promise.resolve();

  constructor(
    session: Feeding,
    columns: readonly FeedColumn[],
    sql: (source: string) => string,
    loaded: (group: readonly Slice[]) => Promise<void> = async () => {},
  ) {
    this.#session = session;
    this.#columns = columns;
    this.#sql = sql;
    this.#loaded = loaded;
  }

  async push(rows: Rows): Promise<void> {
    if (rows.length === 0) return;
    this.#queue.push({ rows, from: 0, to: rows.length });
    this.#rows += rows.length;
    this.#bytes += reservedBytes(rows);
    while (this.#rows >= groupRows || this.#bytes >= groupBytes) await this.#next();
  }

  async flush(): Promise<void> {
    while (this.#queue.length > 0) await this.#next();
    await this.#underWay;
  }

  /** Starts loading the next group after the last one was loaded. */
  async #next(): Promise<void> {
    await this.#underWay;
    const group = this.#group();
    this.#underWay = this.#session.feed(this.#columns, group, this.#sql).then(() => this.#loaded(group));
    // The next `push` or `flush` reports this error.
    this.#underWay.catch(() => {});
  }

  /** Takes up to one row group from the head of the queue. */
  #group(): Slice[] {
    const group: Slice[] = [];
    let room = groupRows;
    while (room >= 8) {
      const slice = this.#queue.shift();
      if (slice === undefined) break;
      const rows = slice.to - slice.from;
      // Validity bits are copied in whole bytes.
      const taken = rows <= room ? rows : room & ~7;
      group.push({ ...slice, to: slice.from + taken });
      if (taken < rows) this.#queue.unshift({ ...slice, from: slice.from + taken });
      this.#rows -= taken;
      room -= taken;
      if (taken === rows) this.#bytes -= reservedBytes(slice.rows);
    }
    return group;
  }
}

/** A loader into a relation, for batches with the columns and types of `shape`. */
export function tableLoader(session: Feeding, table: Table, into: Into, shape: Rows): Loader {
  const { dialect } = session;
  const columns = castColumns(table, into.targets, shape);
  const named = new Map(columns.map(({ name }) => [name, staged(dialect, name)]));
  const constants = into.constants.map(({ sql, value }) => ({
    sql,
    value: typeof value === "string" ? timestamp(value) : String(value),
  }));
  const written = [
    ...columns.map(({ name, target }) => ({ sql: target.sql, value: named.get(name)! })),
    ...constants,
    ...(into.hashed ? [{ sql: stagedId, value: rowHash(dialect, table, named) }] : []),
  ];
  const inner = columns.map(({ name, expression }) => `${expression} AS ${named.get(name)!}`).join(", ") || noColumns;
  const { relation } = into;
  const sized = {
    relation,
    columns: columns.map(({ target }) => target),
    isTemporary: relation.startsWith(dialect.temporary("").slice(0, -2)),
  };
  return new GroupLoader(
    session,
    feedOf(shape),
    (source) =>
      `INSERT INTO ${relation} (${written.map(({ sql }) => sql).join(", ")})
        SELECT ${written.map(({ value }) => value).join(", ")} FROM (SELECT ${inner} FROM ${source})`,
    (group) => session.sizes.loaded(session, table, sized, sizeOf(group)),
  );
}

/** The rows of a group, and about how many bytes they take. */
function sizeOf(group: readonly Slice[]): { readonly rows: number; readonly bytes: number } {
  const size = { rows: 0, bytes: 0 };
  for (const { rows, from, to } of group) {
    size.rows += to - from;
    size.bytes += (rowsBytes(rows) * (to - from)) / rows.length;
  }
  return size;
}

/** As in `Session.through`. `statement` reads from the feed itself. */
export function throughLoader(
  session: Feeding,
  table: Table,
  columns: ReadonlyMap<string, Type>,
  statement: (source: string) => string,
): Loader {
  let under: { readonly shape: Rows; readonly loader: Loader } | null = null;
  const loaderOf = (shape: Rows): Loader => {
    const list = stageList(session, table, columns, shape);
    return new GroupLoader(session, feedOf(shape), (source) => statement(`(SELECT ${list} FROM ${source})`));
  };
  const flush = async (): Promise<void> => {
    const { loader } = under ?? {};
    under = null;
    await loader?.flush();
  };
  return {
    async push(rows) {
      if (under === null || !sameShape(under.shape, rows)) {
        await flush();
        under = { shape: rows, loader: loaderOf(rows) };
      }
      await under.loader.push(rows);
    },
    flush,
  };
}

/** As in `Session.over`. */
export function overMemory(
  session: Feeding,
  table: Table,
  columns: ReadonlyMap<string, Type>,
  batches: readonly Rows[],
  query: (source: string) => string,
): Promise<readonly Row[]> {
  const [shape] = batches;
  const sql = (source: string): string => query(`(SELECT ${stageList(session, table, columns, shape)} FROM ${source})`);
  if (shape === undefined) return session.rows(sql("(SELECT 1 WHERE FALSE)"));
  const slices = batches.map((rows) => ({ rows, from: 0, to: rows.length }));
  return session.feed(feedOf(shape), slices, sql);
}

/** The SELECT list that gives batches of this shape (`undefined`: no batches) the columns and the names of a stage. */
function stageList(
  { dialect }: Feeding,
  table: Table,
  columns: ReadonlyMap<string, Type>,
  shape: Rows | undefined,
): string {
  const targets = stageTargets(dialect, { relation: "", columns });
  const found = shape === undefined ? [] : castColumns(table, targets, shape, (name) => columns.has(name));
  const cast = new Map(found.map(({ name, expression }) => [name, expression]));
  return [...columns]
    .map(([name, type]) => `${cast.get(name) ?? `CAST(NULL AS ${duckdbType(type)})`} AS ${staged(dialect, name)}`)
    .join(", ");
}

/** All columns of batches with this shape. */
function feedOf({ values }: Rows): readonly FeedColumn[] {
  return values.map(({ type }, index) => ({ index, type }));
}

/** For each column of a batch: the expression with the type of its target. */
function castColumns(
  table: Table,
  targets: ReadonlyMap<string, Target>,
  rows: Rows,
  wanted: (name: string) => boolean = () => true,
): readonly { readonly name: string; readonly target: Target; readonly expression: string }[] {
  return rows.columns.flatMap((name, index) => {
    if (!wanted(name)) return [];
    const target = targets.get(name);
    const { type } = rows.values[index]!;
    if (target === undefined)
      throw new HeadwatersError(
        "DEFECT",
        `table "${table.id}": a batch has a column "${name}" that the table does not have`,
      );
    const native = duckdbType(target.type);
    if (duckdbType(widen(type, target.type)) !== native) {
      throw new HeadwatersError(
        "VALUE_OUT_OF_RANGE",
        `table "${table.id}", column "${name}": the copy's ${typeName(target.type)} can't hold every ${typeName(type)}`,
        { hint: "Sync again: the next sync widens the column." },
      );
    }
    const value = canonical(feedName(index), type);
    const expression = layoutType(type) === native ? value : converted(value, type, target.type);
    return [{ name, target, expression }];
  });
}
