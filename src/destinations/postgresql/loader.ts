import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Type } from "../../protocol/types.ts";
import { type EncodedColumn, encodeRows, type RowTail } from "../../wire/postgres/copy-encode.ts";
import { typeName, widen } from "../../toolkit/types.ts";
import { escapeIdentifier } from "../../wire/postgres/literals.ts";
import type { Session } from "./session.ts";
import { postgresType } from "./types.ts";

/** Rows that wait to be cast at the server, before they are handed on. */
const castRows = 100_000;

/** A column that can be written: its name as SQL has it, and the type that it has in the database. */
export interface Target {
  readonly sql: string;
  readonly type: Type;
}

/** A column that is the same in every row of a load. */
interface Constant {
  readonly sql: string;
  readonly type: string;
  /** A field of a binary COPY, its length before it. */
  readonly field: Uint8Array;
}

/** What beside the columns of the batches goes into a relation. */
export interface Extras {
  readonly constants: readonly Constant[];
  /** The column that counts the rows; `null`: there is none. */
  readonly place: string | null;
  /** A column that is computed from those of a batch, given their names as SQL has them. */
  readonly computed: { readonly sql: string; value(columns: ReadonlyMap<string, string>): string } | null;
}

/** How many rows a relation was given: they are counted on from there. */
export interface Counter {
  rows: number;
}

/** Puts batches of one shape into a relation. */
export interface Loader {
  push(rows: Rows): Promise<void>;
  /** Resolves when the server has been sent everything. */
  flush(): Promise<void>;
}

let incomings = 0;

/**
 * A loader of batches that look like `rows` into `relation`. They go there as they are, or, where a column is wider
 * there or one must be computed, into a table of their own, from which the server casts them.
 *
 * Throws `DEFECT` for a column that is not there, and `VALUE_OUT_OF_RANGE` for one whose values the relation's type
 * can't hold.
 */
export async function tableLoader(
  session: Session,
  relation: string,
  targets: ReadonlyMap<string, Target>,
  extras: Extras,
  counter: Counter,
  table: string,
  rows: Rows,
): Promise<Loader> {
  const columns = checkedColumns(table, targets, rows);
  const direct =
    extras.computed === null && columns.every(({ type, target }) => postgresType(type) === postgresType(target.type));
  if (direct) {
    const push = pushInto(
      session,
      relation,
      columns.map(({ target }) => target.sql),
      extras,
      counter,
      table,
    );
    return { push, flush: async () => {} };
  }
  const incoming = escapeIdentifier(`incoming_${++incomings}`);
  const names = columns.map((_, index) => `i${index}`);
  const definitions = [
    ...columns.map(({ type }, index) => `i${index} ${postgresType(type)}`),
    ...extras.constants.map(({ sql, type }) => `${sql} ${type}`),
    ...(extras.place === null ? [] : [`${extras.place} bigint`]),
  ];
  await session.run(`CREATE TEMPORARY TABLE ${incoming} (${definitions.join(", ")})`);
  const push = pushInto(session, incoming, names, extras, counter, table);
  const own = [...extras.constants.map(({ sql }) => sql), ...(extras.place === null ? [] : [extras.place])];
  const cast = columns.map(({ target }, index) => `i${index}::${postgresType(target.type)}`);
  const into = [...columns.map(({ target }) => target.sql), ...own];
  const from = [...cast, ...own];
  if (extras.computed !== null) {
    into.push(extras.computed.sql);
    from.push(extras.computed.value(new Map(columns.map(({ name }, index) => [name, cast[index]!]))));
  }
  let waiting = 0;
  const handOn = async (): Promise<void> => {
    if (waiting === 0) return;
    waiting = 0;
    await session.run(`INSERT INTO ${relation} (${into.join(", ")}) SELECT ${from.join(", ")} FROM ${incoming}`);
    await session.run(`TRUNCATE ${incoming}`);
  };
  return {
    async push(batch) {
      await push(batch);
      waiting += batch.length;
      if (waiting >= castRows) await handOn();
    },
    async flush() {
      await handOn();
      await session.run(`DROP TABLE ${incoming}`);
    },
  };
}

/** Encodes batches into a COPY. */
function pushInto(
  session: Session,
  relation: string,
  names: readonly string[],
  { constants, place }: Extras,
  counter: Counter,
  table: string,
): (rows: Rows) => Promise<void> {
  const all = [...names, ...constants.map(({ sql }) => sql), ...(place === null ? [] : [place])];
  const statement = `COPY ${relation} (${all.join(", ")}) FROM STDIN (FORMAT binary)`;
  const bytes = Buffer.concat(constants.map(({ field }) => field));
  return async (rows) => {
    const columns = rows.columns.map((name, index): EncodedColumn => ({ name, vector: rows.values[index]! }));
    const tail: RowTail = { bytes, fields: constants.length, ordinal: place === null ? null : counter.rows };
    counter.rows += rows.length;
    await session.send(statement, encodeRows(table, columns, rows.length, tail, session.nul));
  };
}

/** The columns of a batch, in its order, and where each goes. */
function checkedColumns(
  table: string,
  targets: ReadonlyMap<string, Target>,
  rows: Rows,
): readonly { readonly name: string; readonly type: Type; readonly target: Target }[] {
  return rows.columns.map((name, index) => {
    const target = targets.get(name);
    const { type } = rows.values[index]!;
    if (target === undefined)
      throw new HeadwatersError("DEFECT", `table "${table}": a batch has a column "${name}" that the table has not`);
    if (postgresType(widen(target.type, type)) !== postgresType(target.type)) {
      throw new HeadwatersError(
        "VALUE_OUT_OF_RANGE",
        `table "${table}", column "${name}": the copy's ${typeName(target.type)} can't hold every ${typeName(type)}`,
        { hint: "Sync again: the column is widened then." },
      );
    }
    return { name, type, target };
  });
}
