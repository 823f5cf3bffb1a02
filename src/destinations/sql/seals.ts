import type { Seal } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import { quotedSystem, storedType } from "./copies.ts";
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
 * - `unknown`: it was never sealed, or is too large.
 * - `broken`: something else changed it before our last write. Only older versions stored this.
 * - `open`: a pass was writing to it. Only older versions stored this.
 */
type State = "sealed" | "unknown" | "broken" | "open";

/** Live rows of a copy, summed up. */
interface Sum {
  readonly n: number;
  readonly digest: bigint;
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
 * The seals that a transaction makes. A seal tells `verify` whether a copy is as a sync left it. The rows that a transaction
 * changes are summed up before and after, and the difference is added to the seal. So the cost does not depend on the size
 * of the copy, and what something else changed stays visible.
 */
export class Seals {
  readonly #session: Session;
  readonly #rows: KeptRows;
  readonly #stamp: string;
  readonly #member: boolean;
  /** By table id: what this transaction stores. */
  readonly #changed = new Map<string, Stored>();

  /** `member`: of a team, whose members would wait for one another to say the same of one copy. */
  constructor(session: Session, { seals }: Ledger, stamp: string, member: boolean) {
    this.#session = session;
    this.#rows = seals;
    this.#stamp = stamp;
    this.#member = member;
  }

  /** Does work that changes rows of the copy. `which`: as in `Writing.changing`. */
  async changing<Result>(table: Table, copy: Copy, which: string | null, work: () => Promise<Result>): Promise<Result> {
    const known = this.#changed.get(table.id) ?? this.#known(table.id);
    const sum = known?.sum ?? null;
    if (sum === null || which === null) {
      const result = await work();
      if (which === null) await this.renew(table, copy);
      else this.#keep(table.id, { state: known?.state ?? "unknown", sum });
      return result;
    }
    const before = await sumOf(this.#session, table, copy, which);
    const result = await work();
    const after = await sumOf(this.#session, table, copy, which);
    this.#keep(table.id, before.how === sum.how ? sealed(changed(sum, before, after)) : unknown);
    return result;
  }

  /** Call before rows are added to the copy that no sum will be made of until it is renewed. */
  lose(id: string): void {
    // Said when the pass was opened: members would wait for one another to say it again.
    if (this.#member && this.#known(id)?.sum === null) return;
    this.#keep(id, unknown);
  }

  /** Call after the copy was made right, whatever something else had done to it. */
  async renew(table: Table, copy: Copy): Promise<void> {
    const { sealedRows } = this.#session.dialect;
    // Versions of a table without a cursor tell no time, so that `verify` needs the seal.
    const most = table.cursor === null ? Infinity : sealedRows;
    const isFew = most === Infinity || !(await hasMore(this.#session, copy, most));
    this.#keep(table.id, isFew ? sealed(await sumOf(this.#session, table, copy, "")) : unknown);
  }

  forget(id: string): void {
    this.#changed.delete(id);
    this.#rows.delete((row) => row["id"] === id);
  }

  /** Hands the seals over to the bookkeeping. */
  save(): void {
    for (const [id, { state, written, sum }] of this.#changed) {
      const digest = sum === null ? null : String(sum.digest);
      this.#rows.set({ id, state, written, n: sum?.n ?? null, digest, how: sum?.how ?? null });
    }
  }

  #keep(id: string, { state, sum }: Pick<Stored, "state" | "sum">): void {
    this.#changed.set(id, { state, written: this.#stamp, sum });
  }

  #known(id: string): Stored | null {
    const row = this.#rows.get(id);
    return row === null ? null : storedOf(row);
  }
}

const unknown = { state: "unknown", sum: null } as const;

function sealed(sum: Sum): Pick<Stored, "state" | "sum"> {
  return { state: "sealed", sum };
}

function changed({ n, digest, how }: Sum, before: Sum, after: Sum): Sum {
  return { n: n - before.n + after.n, digest: digest - before.digest + after.digest, how };
}

/** Compares a copy with its seal. */
export async function sealOf(session: Session, connection: string, table: Table, copy: Copy): Promise<Seal> {
  const known = await storedSeal(session, connection, table.id);
  if (known === null) return "none";
  if (known.state === "broken") return "broken";
  if (known.sum === null) return "none";
  const now = await sumOf(session, table, copy, "");
  if (now.how !== known.sum.how) return "none";
  return now.n === known.sum.n && now.digest === known.sum.digest ? "intact" : "broken";
}

/**
 * The stamp of our last write to a copy, and what members of a team have committed since a pass was opened that writes to
 * the copy; `null`: unknown.
 */
export async function lastWritten(session: Session, connection: string, id: string): Promise<string | null> {
  const written = (await storedSeal(session, connection, id))?.written ?? null;
  const commits = await session.number(
    `SELECT coalesce(sum(p.version), 0) FROM ${kept(session, "progress", connection)} p
      JOIN ${kept(session, "pass_tables", connection)} t ON t.connection = p.connection AND t.pass = p.pass
      WHERE p.connection = $1 AND t.id = $2 AND t.mode IN ('direct', 'merge')`,
    [connection, id],
  );
  return written === null || commits === 0 ? written : `${written} ${commits}`;
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
    sum: digest === null ? null : { n: Number(n), digest: BigInt(digest as string), how: how as string },
  };
}

async function hasMore(session: Session, copy: Copy, rows: number): Promise<boolean> {
  const limited = `SELECT 1 FROM ${copy.relation} LIMIT ${rows + 1}`;
  return (await session.number(`SELECT count(*) FROM (${limited}) counted`)) > rows;
}

/** Sums up those live rows `t` of a copy that `which` finds: SQL after `FROM … t`. */
async function sumOf(session: Session, table: Table, copy: Copy, which: string): Promise<Sum> {
  const { dialect } = session;
  const columns = table.columns.flatMap(({ name, volatile }) => {
    const type = storedType(dialect, copy, name);
    return volatile === true || type === undefined ? [] : [{ name, sql: `t.${dialect.quote(name)}`, type }];
  });
  const hash = columns.length === 0 ? "0" : dialect.hash(columns);
  const live = `NOT t.${quotedSystem(dialect, copy).deleted}`;
  const parts = await partsOfCopy(session, copy);
  const picked =
    which === "" || parts.length === 1
      ? parts.map((part) => `${part} t ${which}`)
      : [`${await dialect.slicing.pick(session, copy.relation, which)} t`];
  let [n, digest, version] = [0, 0n, ""];
  for (const rows of picked) {
    const [row] = await session.rows(
      `SELECT count(*) AS n, CAST(coalesce(sum(h), 0) AS text) AS digest, version() AS version
        FROM (SELECT ${hash} AS h FROM ${rows} WHERE ${live}) hashed`,
    );
    n += Number(row!["n"]);
    digest += BigInt(row!["digest"] as string);
    version = row!["version"] as string;
  }
  const shape = columns.map(({ name, type }) => `${name} ${dialect.typeName(type)}`);
  return { n, digest, how: digestName(version, ...shape) };
}
