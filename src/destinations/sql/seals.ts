import type { DestinationContext } from "../../protocol/destination.ts";
import type { Seal } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import { quotedSystem, storedType } from "./copies.ts";
import type { Session } from "./dialect.ts";
import { kept } from "./kept.ts";
import type { Copy } from "./model.ts";
import { digestName } from "./names.ts";

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
  readonly #connection: string;
  readonly #stamp: string;
  #stored: Promise<Map<string, Stored>> | null = null;
  /** By table id: what this transaction stores. */
  readonly #changed = new Map<string, Stored>();

  constructor(session: Session, { connection }: DestinationContext, stamp: string) {
    this.#session = session;
    this.#connection = connection;
    this.#stamp = stamp;
  }

  /** Call before the copy is changed. */
  async changing(table: Table, copy: Copy): Promise<void> {
    if (this.#changed.has(table.id)) return;
    const known = await this.#known(table.id);
    this.#changed.set(table.id, { state: await this.#opened(known, table, copy), written: this.#stamp, sum: null });
  }

  /** Call at the end of a pass. `read`: the pass read every row, so that the copy is right whatever was before. */
  async renew(table: Table, copy: Copy, read: boolean): Promise<void> {
    const known = this.#changed.get(table.id) ?? (await this.#known(table.id));
    if (known?.state === "sealed" || (known?.state !== "open" && !read)) return;
    const sum = await sumOf(this.#session, table, copy);
    this.#changed.set(table.id, { state: sum === null ? "unknown" : "sealed", written: this.#stamp, sum });
  }

  async forget(id: string): Promise<void> {
    this.#changed.delete(id);
    await this.#session.run(`DELETE FROM ${this.#seals} WHERE connection = $1 AND id = $2`, [this.#connection, id]);
  }

  /** Stores all seals at once. */
  async save(): Promise<void> {
    if (this.#changed.size === 0) return;
    const given = JSON.stringify(
      [...this.#changed].map(([id, { state, written, sum }]) => ({ id, state, written, ...sum })),
    );
    const rows = this.#session.dialect.records("$1", {
      id: "text",
      state: "text",
      written: "text",
      n: "bigint",
      digest: "text",
      how: "text",
    });
    await this.#session.run(
      `DELETE FROM ${this.#seals} known USING ${rows} WHERE known.connection = $2 AND known.id = given.id`,
      [given, this.#connection],
    );
    await this.#session.run(
      `INSERT INTO ${this.#seals} (connection, id, state, written, n, digest, how)
        SELECT $2, id, state, written, n, digest, how FROM ${rows}`,
      [given, this.#connection],
    );
  }

  async #opened(known: Stored | undefined, table: Table, copy: Copy): Promise<State> {
    if (known?.sum == null) return known?.state ?? "unknown";
    const now = await sumOf(this.#session, table, copy);
    if (now === null || now.how !== known.sum.how) return "unknown";
    return isSame(now, known.sum) ? "open" : "broken";
  }

  async #known(id: string): Promise<Stored | undefined> {
    this.#stored ??= storedSeals(this.#session, this.#connection, null);
    return (await this.#stored).get(id);
  }

  get #seals(): string {
    return kept(this.#session, "seals", this.#connection);
  }
}

/** Compares a copy with its seal. */
export async function sealOf(session: Session, connection: string, table: Table, copy: Copy): Promise<Seal> {
  const known = (await storedSeals(session, connection, table.id)).get(table.id);
  if (known === undefined) return "none";
  if (known.state === "broken") return "broken";
  if (known.sum === null) return "none";
  const now = await sumOf(session, table, copy);
  if (now === null || now.how !== known.sum.how) return "none";
  return isSame(now, known.sum) ? "intact" : "broken";
}

/** The stamp of our last write to a copy; `null`: unknown. */
export async function lastWritten(session: Session, connection: string, id: string): Promise<string | null> {
  return (await storedSeals(session, connection, id)).get(id)?.written ?? null;
}

/** `id`: of one table; `null`: all of the connection. */
async function storedSeals(session: Session, connection: string, id: string | null): Promise<Map<string, Stored>> {
  const rows = await session.rows(
    `SELECT id, state, written, n, digest, how FROM ${kept(session, "seals", connection)}
      WHERE connection = $1 ${id === null ? "" : "AND id = $2"}`,
    id === null ? [connection] : [connection, id],
  );
  return new Map(
    rows.map((row): [string, Stored] => [
      row["id"] as string,
      {
        state: row["state"] as State,
        written: row["written"] as string,
        sum:
          row["digest"] === null
            ? null
            : { n: Number(row["n"]), digest: row["digest"] as string, how: row["how"] as string },
      },
    ]),
  );
}

/** Sums up the live rows of a copy; `null`: it has more rows than are cheap to sum up. */
async function sumOf(session: Session, table: Table, copy: Copy): Promise<Sum | null> {
  const { dialect } = session;
  const columns = table.columns.flatMap(({ name, volatile }) => {
    const type = storedType(dialect, copy, name);
    return volatile === true || type === undefined ? [] : [{ name, sql: `t.${dialect.quote(name)}`, type }];
  });
  const few = `(SELECT count(*) FROM (SELECT 1 FROM ${copy.relation} LIMIT ${dialect.sealedRows + 1}) counted) <= ${dialect.sealedRows}`;
  const [row] = await session.rows(
    `SELECT count(*) AS n, CAST(coalesce(sum(hashed.h), 0) AS text) AS digest, version() AS version,
        CASE WHEN ${few} THEN 1 ELSE 0 END AS few
      FROM (SELECT ${columns.length === 0 ? "0" : dialect.hash(columns)} AS h FROM ${copy.relation} t
        WHERE NOT t.${quotedSystem(dialect, copy).deleted} AND ${few}) hashed`,
  );
  if (Number(row!["few"]) === 0) return null;
  const shape = columns.map(({ name, type }) => `${name} ${dialect.typeName(type)}`);
  return {
    n: Number(row!["n"]),
    digest: row!["digest"] as string,
    how: digestName(row!["version"] as string, ...shape),
  };
}

function isSame(one: Sum, other: Sum): boolean {
  return one.n === other.n && one.digest === other.digest;
}
