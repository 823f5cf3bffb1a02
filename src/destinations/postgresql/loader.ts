import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import {
  booleanField,
  type EncodedColumn,
  encodeRows,
  type RowTail,
  timestampField,
} from "../../wire/postgres/copy-encode.ts";
import { typeName, widen } from "../../toolkit/types.ts";
import { project, sameShape } from "../../toolkit/vectors.ts";
import type { Counter, Into, Loader, Target } from "../sql/dialect.ts";
import { temporary } from "../sql/names.ts";
import { createStage, rowHash, stagedId, stagedPlace, stageTargets } from "../sql/stage.ts";
import { microsecondsOf } from "../../toolkit/moments.ts";
import type { Copying } from "./copying.ts";
import { postgresType } from "./types.ts";
import type { Stage } from "../sql/model.ts";

/** The number of rows that are collected at the server before they are cast and moved on. */
const castRows = 100_000;

/** A column with the same value in every row of a load. */
interface Constant {
  readonly sql: string;
  readonly type: string;
  /** A field of a binary COPY, preceded by its length. */
  readonly field: Uint8Array;
}

function constantsOf({ constants }: Into): readonly Constant[] {
  return constants.map(({ sql, value }) =>
    typeof value === "boolean"
      ? { sql, type: "boolean", field: booleanField(value) }
      : { sql, type: "timestamp with time zone", field: timestampField(microsecondsOf(value)) },
  );
}

/**
 * A loader for batches with the columns and types of `shape`. Rows are loaded directly into the relation. If a column
 * is wider there, or a hash is needed, rows are loaded into a temporary table first, and the server converts them.
 */
export async function tableLoader(session: Copying, table: Table, into: Into, shape: Rows): Promise<Loader> {
  const { relation, hashed, counter } = into;
  const columns = checkedColumns(table.id, into.targets, shape);
  const constants = constantsOf(into);
  const types = columns.map(({ type }) => type);
  const direct = !hashed && columns.every(({ type, target }) => postgresType(type) === postgresType(target.type));
  if (direct) {
    const names = columns.map(({ target }) => target.sql);
    return { push: pushInto(session, relation, names, types, constants, counter, table.id), flush: async () => {} };
  }
  const incoming = temporary(session, "incoming");
  const names = columns.map((_, index) => `i${index}`);
  const definitions = [
    ...columns.map(({ type }, index) => `i${index} ${postgresType(type)}`),
    ...constants.map(({ type }, index) => `k${index} ${type}`),
    ...(counter === null ? [] : [`${stagedPlace} bigint`]),
  ];
  await session.run(`CREATE TEMPORARY TABLE ${incoming} (${definitions.join(", ")})`);
  const own = constants.map((constant, index) => ({ ...constant, sql: `k${index}` }));
  const push = pushInto(session, incoming, names, types, own, counter, table.id);
  const cast = columns.map(({ target }, index) => `i${index}::${postgresType(target.type)}`);
  const hash = rowHash(session.dialect, table, new Map(columns.map(({ name }, index) => [name, cast[index]!])));
  const written = [
    ...columns.map(({ target }, index) => ({ sql: target.sql, value: cast[index]! })),
    ...constants.map(({ sql }, index) => ({ sql, value: `k${index}` })),
    ...(counter === null ? [] : [{ sql: stagedPlace, value: stagedPlace }]),
    ...(hashed ? [{ sql: stagedId, value: hash }] : []),
  ];
  const [to, from] = [written.map(({ sql }) => sql).join(", "), written.map(({ value }) => value).join(", ")];
  let waiting = 0;
  const handOn = async (): Promise<void> => {
    if (waiting === 0) return;
    waiting = 0;
    await session.run(`INSERT INTO ${relation} (${to}) SELECT ${from} FROM ${incoming}`);
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

/** As in `Session.through`. `statement` reads from a temporary table that is truncated after each run. */
export function throughLoader(
  session: Copying,
  table: Table,
  columns: ReadonlyMap<string, Type>,
  statement: (source: string) => string,
): Loader {
  const counter: Counter = { rows: 0 };
  let stage: Stage | null = null;
  let under: { readonly shape: Rows; readonly loader: Loader } | null = null;
  let waiting = 0;
  const end = async (): Promise<void> => {
    const { loader } = under ?? {};
    under = null;
    await loader?.flush();
  };
  const handOn = async ({ relation }: Stage): Promise<void> => {
    await end();
    await session.run(statement(relation));
    await session.run(`TRUNCATE ${relation}`);
    waiting = 0;
  };
  return {
    async push(batch) {
      stage ??= await createStage(session, "TEMPORARY TABLE", temporary(session, "read"), columns);
      const rows = project(
        batch,
        batch.columns.filter((name) => columns.has(name)),
      );
      if (under === null || !sameShape(under.shape, rows)) {
        await end();
        const targets = stageTargets(session.dialect, stage);
        const into = { relation: stage.relation, targets, constants: [], hashed: false, counter };
        under = { shape: rows, loader: await tableLoader(session, table, into, rows) };
      }
      await under.loader.push(rows);
      waiting += rows.length;
      if (waiting >= castRows) await handOn(stage);
    },
    async flush() {
      if (stage === null) return;
      await handOn(stage);
      await session.run(`DROP TABLE ${stage.relation}`);
      stage = null;
    },
  };
}

/** Encodes batches into a COPY. `types`: as which their columns are encoded. */
function pushInto(
  session: Copying,
  relation: string,
  names: readonly string[],
  types: readonly Type[],
  constants: readonly Constant[],
  counter: Counter | null,
  table: string,
): (rows: Rows) => Promise<void> {
  const all = [...names, ...constants.map(({ sql }) => sql), ...(counter === null ? [] : [stagedPlace])];
  const statement = `COPY ${relation} (${all.join(", ")}) FROM STDIN (FORMAT binary)`;
  const bytes = Buffer.concat(constants.map(({ field }) => field));
  return async (rows) => {
    const columns = rows.columns.map((name, index): EncodedColumn => ({
      name,
      vector: { ...rows.values[index]!, type: types[index]! },
    }));
    const tail: RowTail = { bytes, fields: constants.length, ordinal: counter?.rows ?? null };
    if (counter !== null) counter.rows += rows.length;
    await session.send(statement, encodeRows(table, columns, rows.length, tail, session.nul));
  };
}

/** The columns of a batch, in its order, each with its target. */
function checkedColumns(
  table: string,
  targets: ReadonlyMap<string, Target>,
  rows: Rows,
): readonly { readonly name: string; readonly type: Type; readonly target: Target }[] {
  return rows.columns.map((name, index) => {
    const target = targets.get(name);
    const { type } = rows.values[index]!;
    if (target === undefined)
      throw new HeadwatersError(
        "DEFECT",
        `table "${table}": a batch has a column "${name}" that the table does not have`,
      );
    if (postgresType(widen(type, target.type)) !== postgresType(target.type)) {
      throw new HeadwatersError(
        "VALUE_OUT_OF_RANGE",
        `table "${table}", column "${name}": the copy's ${typeName(target.type)} can't hold every ${typeName(type)}`,
        { hint: "Sync again: the next sync widens the column." },
      );
    }
    // A UUID is text in memory, so the text of an older copy takes it as it is.
    const isText = type.kind === "UUID" && target.type.kind === "STRING";
    return { name, type: isText ? target.type : type, target };
  });
}
