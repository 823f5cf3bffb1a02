import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Comparison, Difference } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { sameShape } from "../../toolkit/vectors.ts";
import { widen } from "../../toolkit/types.ts";
import { project } from "../../toolkit/vectors.ts";
import { type Copy, storedType } from "./copies.ts";
import { type Counter, type Loader, tableLoader } from "./loader.ts";
import { quotedSystem, temporary } from "./merge.ts";
import { quoted } from "./names.ts";
import type { Session } from "./session.ts";
import { createStage, type Stage, staged, stagedPlace, stageTargets } from "./stage.ts";
import { comparable, postgresType } from "./types.ts";

/** Buckets of the keys' hashes: few enough to sum up at once, so many that the rows of one are few. */
const buckets = 4_096;

/** Rows of the source that are sent before they are digested. */
const digestRows = 100_000;

export async function compareCopy(session: Session, table: Table, copy: Copy): Promise<Comparison> {
  const columns = table.columns
    .filter(({ volatile }) => volatile !== true)
    .map(({ name, type }): Compared => {
      const stored = storedType(copy, name);
      const both = stored === undefined ? type : widen(stored, type);
      return {
        name,
        type: both,
        copy: `${stored === undefined ? "NULL" : `t.${quoted(name)}`}::${postgresType(both)}`,
      };
    });
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const read = await createStage(session, "TEMPORARY TABLE", temporary("read"), types, []);
  const digests = temporary("digests");
  await session.run(`CREATE TEMPORARY TABLE ${digests} (bucket int, n bigint, digest numeric)`);
  return new CopyComparison(session, table, copy, columns, read, digests);
}

/** A column as it is compared: both sides in a type that holds the values of both. */
interface Compared {
  readonly name: string;
  readonly type: Type;
  /** Over the copy, which is `t`; NULL where it has no such column. */
  readonly copy: string;
}

class CopyComparison implements Comparison {
  readonly #session: Session;
  readonly #table: Table;
  readonly #copy: Copy;
  /** By which rows are told to be the same; all columns where there is no key. */
  readonly #key: readonly Compared[];
  readonly #columns: readonly Compared[];
  /** Rows of the source on their way. */
  readonly #read: Stage;
  readonly #digests: string;
  readonly #counter: Counter = { rows: 0 };
  #loading: { readonly shape: Rows; readonly loader: Loader } | null = null;
  #waiting = 0;
  /** The bucket numbers that differ, once that is known. */
  #differing: string | null = null;
  /** Rows of the source in buckets that differ. */
  #collected: string | null = null;

  constructor(session: Session, table: Table, copy: Copy, columns: readonly Compared[], read: Stage, digests: string) {
    this.#session = session;
    this.#table = table;
    this.#copy = copy;
    this.#columns = columns;
    this.#key = table.key.length > 0 ? columns.filter(({ name }) => table.key.includes(name)) : columns;
    this.#read = read;
    this.#digests = digests;
  }

  digest(rows: Rows): Promise<void> {
    return this.#push(rows, () => this.#handOnDigests());
  }

  async digested(): ReturnType<Comparison["digested"]> {
    await this.#handOnDigests();
    this.#differing = temporary("differing");
    await this.#session.run(
      `CREATE TEMPORARY TABLE ${this.#differing} AS
        SELECT coalesce(s.bucket, t.bucket) AS bucket, coalesce(s.n, 0) AS source, coalesce(t.n, 0) AS copy,
          s.n IS DISTINCT FROM t.n OR s.digest IS DISTINCT FROM t.digest AS differs
        FROM (SELECT bucket, sum(n) AS n, sum(digest) AS digest FROM ${this.#digests} GROUP BY bucket) s
        FULL JOIN (${this.#digestsOf(this.#copied())}) t ON s.bucket = t.bucket`,
    );
    const [row] = await this.#session.rows(
      `SELECT coalesce(sum(source), 0) AS source, coalesce(sum(copy), 0) AS copy,
        count(*) FILTER (WHERE differs) AS differing FROM ${this.#differing}`,
    );
    await this.#session.run(`DELETE FROM ${this.#differing} WHERE NOT differs`);
    return {
      source: Number(row!["source"]),
      copy: Number(row!["copy"]),
      buckets,
      differing: Number(row!["differing"]),
    };
  }

  collect(rows: Rows): Promise<void> {
    this.#mustBeDigested();
    return this.#push(rows, () => this.#handOnRows());
  }

  async differences(limit: number): ReturnType<Comparison["differences"]> {
    const differing = this.#mustBeDigested();
    await this.#handOnRows();
    const source = this.#collected!;
    const copied = `SELECT * FROM (${this.#copied()}) AS c WHERE ${this.#bucket()} IN (SELECT bucket FROM ${differing})`;
    const found = temporary("found");
    const query = this.#table.key.length > 0 ? this.#keyedDifferences(source, copied) : this.#counted(source, copied);
    await this.#session.run(`CREATE TEMPORARY TABLE ${found} AS ${query}`);
    const counts = await this.#session.rows(`SELECT kind, sum(n) AS n FROM ${found} GROUP BY kind`);
    const count = (kind: Difference["kind"]): number => Number(counts.find((row) => row["kind"] === kind)?.["n"] ?? 0);
    const [repeated] = await this.#session.rows(
      this.#table.key.length > 0
        ? `SELECT count(*) - count(DISTINCT ${this.#rowText(this.#key)}) AS n FROM ${source}`
        : "SELECT 0 AS n",
    );
    const shown = await this.#session.rows(
      `SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY coalesce(s0, t0)) AS place FROM ${found}) AS f
        WHERE place <= ${Math.trunc(limit)} ORDER BY kind, place`,
    );
    await this.#session.run(`DROP TABLE ${found}`);
    return {
      missing: count("missing"),
      extra: count("extra"),
      different: count("different"),
      repeated: Number(repeated!["n"]),
      shown: shown.map((row) => this.#difference(row)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const relations = [this.#read.relation, this.#digests, this.#differing, this.#collected];
    // After a failure within a transaction nothing more is taken; what is temporary goes with it or with the session.
    await this.#loading?.loader.flush().catch(() => {});
    for (const relation of relations)
      if (relation !== null) await this.#session.run(`DROP TABLE IF EXISTS ${relation}`).catch(() => {});
  }

  /** Rows by key: the last that the source gave of each, and every row of the copy, of which a second one is extra. */
  #keyedDifferences(source: string, copied: string): string {
    const key = this.#rowText(this.#key);
    const numbered = (rows: string, order: string): string =>
      `SELECT *, row_number() OVER (PARTITION BY key ${order}) AS twin FROM (SELECT *, ${key} AS key FROM ${rows}) AS k`;
    const differs =
      this.#columns
        .filter((column) => !this.#key.includes(column))
        .map(({ name, type }) => {
          const [s, t] = [comparable(`s.${staged(name)}`, type), comparable(`t.${staged(name)}`, type)];
          return `${s} IS DISTINCT FROM ${t}`;
        })
        .join(" OR ") || "false";
    return `SELECT CASE WHEN s.twin IS NULL OR t.twin > 1 THEN 'extra' WHEN t.twin IS NULL THEN 'missing' ELSE 'different' END AS kind,
        1 AS n, ${this.#texts()}
      FROM (SELECT * FROM (${numbered(source, `ORDER BY ${stagedPlace} DESC`)}) AS l WHERE twin = 1) s
      FULL JOIN (${numbered(`(${copied}) AS r`, "")}) t ON s.key = t.key
      WHERE s.twin IS NULL OR t.twin IS NULL OR t.twin > 1 OR ${differs}`;
  }

  /** Rows without a key: how often each is there, on either side. */
  #counted(source: string, copied: string): string {
    const row = this.#rowText(this.#columns);
    const any = this.#columns.map(({ name }) => `(array_agg(${staged(name)}))[1] AS ${staged(name)}`).join(", ");
    const counted = (rows: string): string => `(SELECT ${row} AS key, ${any}, count(*) AS n FROM ${rows} GROUP BY 1)`;
    return `SELECT CASE WHEN coalesce(s.n, 0) > coalesce(t.n, 0) THEN 'missing' ELSE 'extra' END AS kind,
        abs(coalesce(s.n, 0) - coalesce(t.n, 0)) AS n, ${this.#texts()}
      FROM ${counted(source)} s FULL JOIN ${counted(`(${copied}) AS r`)} t ON s.key = t.key
      WHERE s.n IS DISTINCT FROM t.n`;
  }

  /** Both sides of every column, as text, by their place: `s0`, `t0`, `s1`, … */
  #texts(): string {
    return this.#columns
      .map(
        ({ name, type }, place) =>
          `${asText(`s.${staged(name)}`, type)} AS s${place}, ${asText(`t.${staged(name)}`, type)} AS t${place}`,
      )
      .join(", ");
  }

  #difference(row: Readonly<Record<string, string | null>>): Difference {
    const kind = row["kind"] as Difference["kind"];
    const sides = this.#columns.map(({ name }, place) => ({
      name,
      source: row[`s${place}`] ?? null,
      copy: row[`t${place}`] ?? null,
    }));
    const keyed = sides.filter((_, place) => this.#key.includes(this.#columns[place]!));
    const version = sides.find(({ name }) => name === this.#table.version);
    return {
      kind,
      key: Object.fromEntries(keyed.map(({ name, source, copy }) => [name, kind === "extra" ? copy : source])),
      version: {
        source: kind === "extra" ? null : (version?.source ?? null),
        copy: kind === "missing" ? null : (version?.copy ?? null),
      },
      columns: kind === "different" ? sides.filter(({ source, copy }) => source !== copy) : [],
    };
  }

  /** Sends rows to where they are read from, until there are enough of them to be handed on. */
  async #push(rows: Rows, handOn: () => Promise<void>): Promise<void> {
    const wanted = this.#compared(rows);
    if (this.#loading === null || !sameShape(this.#loading.shape, wanted)) {
      await this.#flush();
      const { relation } = this.#read;
      const extras = { constants: [], place: stagedPlace, computed: null };
      const targets = stageTargets(this.#read);
      const { id } = this.#table;
      const loader = await tableLoader(this.#session, relation, targets, extras, this.#counter, id, wanted);
      this.#loading = { shape: wanted, loader };
    }
    await this.#loading.loader.push(wanted);
    this.#waiting += rows.length;
    if (this.#waiting >= digestRows) await handOn();
  }

  async #flush(): Promise<void> {
    const loading = this.#loading;
    this.#loading = null;
    await loading?.loader.flush();
  }

  async #handOnDigests(): Promise<void> {
    await this.#flush();
    const { relation } = this.#read;
    await this.#session.run(`INSERT INTO ${this.#digests} ${this.#digestsOf(`SELECT * FROM ${relation}`)}`);
    await this.#session.run(`TRUNCATE ${relation}`);
    this.#waiting = 0;
  }

  async #handOnRows(): Promise<void> {
    await this.#flush();
    const { relation } = this.#read;
    if (this.#collected === null) {
      this.#collected = temporary("collected");
      await this.#session.run(`CREATE TEMPORARY TABLE ${this.#collected} (LIKE ${relation})`);
    }
    await this.#session.run(
      `INSERT INTO ${this.#collected} SELECT * FROM ${relation}
        WHERE ${this.#bucket()} IN (SELECT bucket FROM ${this.#mustBeDigested()})`,
    );
    await this.#session.run(`TRUNCATE ${relation}`);
    this.#waiting = 0;
  }

  /** The columns of a batch that are compared. */
  #compared(rows: Rows): Rows {
    const names = rows.columns.filter((name) => this.#read.columns.has(name));
    return names.length === rows.columns.length ? rows : project(rows, names);
  }

  /** Live rows of the copy, with the columns of a stage. */
  #copied(): string {
    const columns = this.#columns.map(({ name, copy }) => `${copy} AS ${staged(name)}`).join(", ");
    return `SELECT ${columns} FROM ${this.#copy.relation} t WHERE NOT t.${quotedSystem(this.#copy).deleted}`;
  }

  /** By bucket: how many rows there are, and the sum of their hashes, which tells nothing of their order. */
  #digestsOf(rows: string): string {
    return `SELECT ${this.#bucket()} AS bucket, count(*) AS n, sum(hashtextextended(${this.#rowText(this.#columns)}, 0)) AS digest
      FROM (${rows}) AS d GROUP BY 1`;
  }

  #bucket(): string {
    return `(hashtextextended(${this.#rowText(this.#key)}, 0) & ${buckets - 1})::int`;
  }

  /** Columns of a stage as one text, which is another for any two rows that differ. */
  #rowText(columns: readonly Compared[]): string {
    const values = columns.map(({ name, type }) =>
      // Of the two zeros of a float, which are equal, it makes one.
      type.kind === "FLOAT" || type.kind === "DOUBLE" ? `${staged(name)} + 0` : staged(name),
    );
    return `ROW(${values.join(", ")})::text`;
  }

  #mustBeDigested(): string {
    if (this.#differing === null)
      throw new HeadwatersError("DEFECT", "the second reading of verify came before the first ended");
    return this.#differing;
  }
}

/** As ISO 8601 where it is a time, so that it can be read as one. */
function asText(value: string, type: Type): string {
  if (type.kind === "UTC_DATETIME") return `regexp_replace(regexp_replace(${value}::text, '\\+00$', 'Z'), ' ', 'T')`;
  return type.kind === "NAIVE_DATETIME" ? `regexp_replace(${value}::text, ' ', 'T')` : `${value}::text`;
}
