import type { Seal } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import { countLive, quotedSystem, storedType } from "./copies.ts";
import type { Row, Session } from "./dialect.ts";
import { kept } from "./kept.ts";
import type { KeptRows, Ledger } from "./ledger.ts";
import type { Copy } from "./model.ts";
import { digestName } from "./names.ts";
import { partsOfCopy } from "./parts.ts";

/**
 * What is known of a copy since our last write to it.
 *
 * - `sealed`: our last write left the copy with this number of rows and this digest.
 * - `open`: a pass is writing to it, and it was intact when the pass began to.
 * - `unknown`: it was never sealed, or is too large.
 * - `broken`: something else changed it before our last write.
 */
type State = "sealed" | "open" | "unknown" | "broken";

/** The live rows of a copy, summed up. */
interface Sum {
  readonly n: number;
  readonly digest: string;
  /** Identifies how they were summed up: the columns, and the database's version, which may change its hash. */
  readonly how: string;
}

interface Stored {
  readonly state: State;
  /** The stamp of our last write. */
  readonly written: string;
  readonly sum: Sum | null;
}

/**
 * The seals that a transaction breaks and makes. A seal tells `verify` whether a copy is as a sync left it. A transaction
 * that changes a copy looks at its seal first, so that a later seal does not cover up what something else changed.
 */
export class Seals {
  readonly #session: Session;
  readonly #rows: KeptRows;
  readonly #stamp: string;
  /** By table id: what this transaction stores. */
  readonly #changed = new Map<string, Stored>();

  constructor(session: Session, { seals }: Ledger, stamp: string) {
    this.#session = session;
    this.#rows = seals;
    this.#stamp = stamp;
  }

  /** Call before the copy is changed. */
  async changing(table: Table, copy: Copy): Promise<void> {
    const own = this.#changed.get(table.id);
    // Nothing else can have changed the copy since this transaction sealed it.
    const state =
      own === undefined
        ? await this.#opened(this.#known(table.id), table, copy)
        : own.state === "sealed"
          ? "open"
          : own.state;
    this.#changed.set(table.id, { state, written: this.#stamp, sum: null });
  }

  /** Call at the end of a pass. `read`: the pass read every row, so that the copy is right whatever was before. */
  async renew(table: Table, copy: Copy, read: boolean): Promise<void> {
    const known = this.#changed.get(table.id) ?? this.#known(table.id);
    if (known?.state === "sealed" || (known?.state !== "open" && !read)) return;
    const sum = await sumOf(this.#session, table, copy, this.#most(table));
    this.#changed.set(table.id, { state: sum === null ? "unknown" : "sealed", written: this.#stamp, sum });
  }

  forget(id: string): void {
    this.#changed.delete(id);
    this.#rows.delete((row) => row["id"] === id);
  }

  /** Hands the seals over to the bookkeeping. */
  save(): void {
    for (const [id, { state, written, sum }] of this.#changed)
      this.#rows.set({ id, state, written, n: sum?.n ?? null, digest: sum?.digest ?? null, how: sum?.how ?? null });
  }

  async #opened(known: Stored | null, table: Table, copy: Copy): Promise<State> {
    if (known === null || known.sum === null) return known?.state ?? "unknown";
    const now = await sumOf(this.#session, table, copy, this.#most(table));
    if (now === null || now.how !== known.sum.how) return "unknown";
    return isSame(now, known.sum) ? "open" : "broken";
  }

  /**
   * The most rows that are summed up. Passes of tables without a cursor or a stream read every key of the source: summing
   * up the copy, however large, is a small part of that. Their versions tell no time, so `verify` needs the seal.
   */
  #most({ cursor, streamed }: Table): number | null {
    return cursor === null && streamed !== true ? null : this.#session.dialect.sealedRows;
  }

  #known(id: string): Stored | null {
    const row = this.#rows.get(id);
    return row === null ? null : storedOf(row);
  }
}

/** Compares a copy with its seal. */
export async function sealOf(session: Session, connection: string, table: Table, copy: Copy): Promise<Seal> {
  const known = await storedSeal(session, connection, table.id);
  if (known === null) return "none";
  if (known.state === "broken") return "broken";
  if (known.sum === null) return "none";
  const now = await sumOf(session, table, copy, null);
  if (now === null || now.how !== known.sum.how) return "none";
  return isSame(now, known.sum) ? "intact" : "broken";
}

/** The stamp of our last write to a copy; `null`: unknown. */
export async function lastWritten(session: Session, connection: string, id: string): Promise<string | null> {
  return (await storedSeal(session, connection, id))?.written ?? null;
}

async function storedSeal(session: Session, connection: string, id: string): Promise<Stored | null> {
  const [row] = await session.rows(
    `SELECT state, written, n, digest, how FROM ${kept(session, "seals", connection)} WHERE connection = $1 AND id = $2`,
    [connection, id],
  );
  return row === undefined ? null : storedOf(row);
}

function storedOf({ state, written, n, digest, how }: Row): Stored {
  return {
    state: state as State,
    written: written as string,
    sum: digest === null ? null : { n: Number(n), digest: digest as string, how: how as string },
  };
}

/** Sums up the live rows of a copy; `null`: they are more than `most`. */
async function sumOf(session: Session, table: Table, copy: Copy, most: number | null): Promise<Sum | null> {
  const { dialect } = session;
  const columns = table.columns.flatMap(({ name, volatile }) => {
    const type = storedType(dialect, copy, name);
    return volatile === true || type === undefined ? [] : [{ name, sql: `t.${dialect.quote(name)}`, type }];
  });
  const live = `NOT t.${quotedSystem(dialect, copy).deleted}`;
  const parts = await partsOfCopy(session, copy);
  // The parts would be limited one by one.
  if (most !== null && parts.length > 1 && (await countLive(session, copy)) > most) return null;
  const sum = { n: 0, digest: 0n, version: "" };
  for (const part of parts) {
    const [row] = await session.rows(
      `SELECT count(*) AS n, CAST(coalesce(sum(hashed.h), 0) AS text) AS digest, version() AS version
        FROM (SELECT ${columns.length === 0 ? "0" : dialect.hash(columns)} AS h FROM ${part} t
          WHERE ${live}${most === null ? "" : ` LIMIT ${most + 1}`}) hashed`,
    );
    sum.n += Number(row!["n"]);
    sum.digest += BigInt(row!["digest"] as string);
    sum.version = row!["version"] as string;
  }
  if (most !== null && sum.n > most) return null;
  const shape = columns.map(({ name, type }) => `${name} ${dialect.typeName(type)}`);
  return { n: sum.n, digest: String(sum.digest), how: digestName(sum.version, ...shape) };
}

function isSame(one: Sum, other: Sum): boolean {
  return one.n === other.n && one.digest === other.digest;
}
