import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Comparison, Difference } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { sameShape } from "../../toolkit/vectors.ts";
import { widen } from "../../toolkit/types.ts";
import type { Copy } from "./copies.ts";
import { castColumns, Loader, type Target } from "./loader.ts";
import { quotedSystem, temporary } from "./merge.ts";
import { quote } from "./names.ts";
import type { Session } from "./session.ts";
import { keepLast } from "./keep-last.ts";
import { createStage, type Stage, staged } from "./stage.ts";
import { duckdbType, hashable } from "./types.ts";

/** Buckets of the keys' hashes: few enough to sum up at once, so many that the rows of one are few. */
const buckets = 4_096;

export async function compareCopy(session: Session, table: Table, copy: Copy): Promise<Comparison> {
  const digests = temporary("digests");
  await session.run(`CREATE TEMP TABLE ${digests} (bucket UINTEGER, n HUGEINT, digest HUGEINT)`);
  return new CopyComparison(session, table, copy, digests);
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
  readonly #digests: string;
  /** The bucket numbers that differ, once that is known. */
  #differing: string | null = null;
  readonly #columns: readonly Compared[];
  /** By which rows are told to be the same; all columns where there is no key. */
  readonly #key: readonly string[];
  #loading: { readonly shape: Rows; readonly loader: Loader } | null = null;
  #stage: Stage | null = null;

  constructor(session: Session, table: Table, copy: Copy, digests: string) {
    this.#session = session;
    this.#table = table;
    this.#copy = copy;
    this.#digests = digests;
    this.#columns = table.columns
      .filter(({ volatile }) => volatile !== true)
      .map(({ name, type }) => {
        const stored = copy.columns.get(name);
        const both = stored === undefined ? type : widen(stored, type);
        const value = stored === undefined ? "NULL" : `t.${quote(name)}`;
        return { name, type: both, copy: `CAST(${value} AS ${duckdbType(both)})` };
      });
    this.#key = table.key.length > 0 ? table.key : this.#columns.map(({ name }) => name);
  }

  async digest(rows: Rows): Promise<void> {
    await this.#push(rows, (shown) => {
      const inner = this.#sourceColumns(shown);
      return (source) =>
        `INSERT INTO ${this.#digests} SELECT bucket, count(*), sum(digest) FROM
          (SELECT ${this.#bucket()} AS bucket, ${this.#digest()} AS digest FROM (SELECT ${inner} FROM ${source})) GROUP BY bucket`;
    });
  }

  async digested(): ReturnType<Comparison["digested"]> {
    await this.#flush();
    const copied = temporary("digests");
    await this.#session.run(
      `CREATE TEMP TABLE ${copied} AS SELECT ${this.#bucket()} AS bucket, count(*) AS n, sum(${this.#digest()}) AS digest
        FROM ${this.#copied()} GROUP BY bucket`,
    );
    this.#differing = temporary("differing");
    await this.#session.run(
      `CREATE TEMP TABLE ${this.#differing} AS
        SELECT coalesce(s.bucket, t.bucket) AS bucket, coalesce(s.n, 0) AS source, coalesce(t.n, 0) AS copy,
          s.n IS DISTINCT FROM t.n OR s.digest IS DISTINCT FROM t.digest AS differs
        FROM (SELECT bucket, sum(n) AS n, sum(digest) AS digest FROM ${this.#digests} GROUP BY bucket) s
        FULL JOIN ${copied} t ON s.bucket = t.bucket`,
    );
    await this.#session.run(`DROP TABLE ${copied}`);
    const [row] = await this.#session.rows<{ source: bigint; copy: bigint; differing: bigint }>(
      `SELECT coalesce(sum(source), 0)::BIGINT AS source, coalesce(sum(copy), 0)::BIGINT AS copy,
        count(*) FILTER (differs) AS differing FROM ${this.#differing}`,
    );
    await this.#session.run(`DELETE FROM ${this.#differing} WHERE NOT differs`);
    return {
      source: Number(row!.source),
      copy: Number(row!.copy),
      buckets,
      differing: Number(row!.differing),
    };
  }

  async collect(rows: Rows): Promise<void> {
    const differing = this.#mustBeDigested();
    const types = new Map(this.#columns.map(({ name, type }) => [name, type]));
    this.#stage ??= await createStage(this.#session, "TEMP TABLE", temporary("collected"), types, []);
    const { relation } = this.#stage;
    const names = this.#columns.map(({ name }) => staged(name)).join(", ");
    await this.#push(rows, (shown) => {
      const inner = this.#sourceColumns(shown);
      return (source) =>
        `INSERT INTO ${relation} (${names}) SELECT ${names} FROM (SELECT ${inner} FROM ${source})
          WHERE ${this.#bucket()} IN (SELECT bucket FROM ${differing})`;
    });
  }

  async differences(limit: number): ReturnType<Comparison["differences"]> {
    await this.#flush();
    const differing = this.#mustBeDigested();
    const types = new Map(this.#columns.map(({ name, type }) => [name, type]));
    this.#stage ??= await createStage(this.#session, "TEMP TABLE", temporary("collected"), types, []);
    const found = temporary("found");
    const copied = `(SELECT * FROM ${this.#copied()} WHERE ${this.#bucket()} IN (SELECT bucket FROM ${differing}))`;
    const keyed = this.#table.key.length > 0;
    const { relation } = this.#stage;
    const repeated = keyed ? await keepLast(this.#session, relation, this.#table, staged) : 0;
    const query = keyed
      ? this.#keyedDifferences(relation, copied)
      : this.#countedDifferences(this.#stage.relation, copied);
    await this.#session.run(`CREATE TEMP TABLE ${found} AS ${query}`);
    const counts = await this.#session.rows<{ kind: string; n: bigint }>(
      `SELECT kind, sum(n)::BIGINT AS n FROM ${found} GROUP BY kind`,
    );
    const count = (kind: Difference["kind"]): number => Number(counts.find((row) => row.kind === kind)?.n ?? 0);
    const shown = await this.#session.rows<Record<string, string | null>>(
      `SELECT * EXCLUDE (place) FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY coalesce(s0, t0)) AS place FROM ${found})
        WHERE place <= ${Math.trunc(limit)} ORDER BY kind, place`,
    );
    await this.#session.run(`DROP TABLE ${found}`);
    return {
      missing: count("missing"),
      extra: count("extra"),
      different: count("different"),
      repeated,
      shown: shown.map((row) => this.#difference(row)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const relations = [this.#digests, this.#differing, this.#stage?.relation ?? null];
    await this.#flush().catch(() => {});
    for (const relation of relations)
      if (relation !== null) await this.#session.run(`DROP TABLE IF EXISTS ${relation}`);
  }

  /** Rows by key: each of the source, and every row of the copy, of which a second one is extra. */
  #keyedDifferences(source: string, copied: string): string {
    const list = this.#key.map(staged).join(", ");
    const same = this.#key.map((name) => `s.${staged(name)} IS NOT DISTINCT FROM t.${staged(name)}`).join(" AND ");
    const differs =
      this.#columns
        .filter(({ name }) => !this.#key.includes(name))
        .map(({ name }) => `s.${staged(name)} IS DISTINCT FROM t.${staged(name)}`)
        .join(" OR ") || "FALSE";
    return `SELECT CASE WHEN s.present IS NULL OR t.twin > 1 THEN 'extra' WHEN t.twin IS NULL THEN 'missing' ELSE 'different' END AS kind,
        1 AS n, ${this.#texts()}
      FROM (SELECT *, TRUE AS present FROM ${source}) s
      FULL JOIN (SELECT *, row_number() OVER (PARTITION BY ${list}) AS twin FROM ${copied}) t ON ${same}
      WHERE s.present IS NULL OR t.twin IS NULL OR t.twin > 1 OR ${differs}`;
  }

  /** Rows without a key: how often each is there, on either side. */
  #countedDifferences(source: string, copied: string): string {
    const list = this.#columns.map(({ name }) => staged(name)).join(", ");
    const same = this.#key.map((name) => `s.${staged(name)} IS NOT DISTINCT FROM t.${staged(name)}`).join(" AND ");
    const counted = (rows: string): string => `(SELECT ${list}, count(*) AS n FROM ${rows} GROUP BY ${list})`;
    return `SELECT CASE WHEN coalesce(s.n, 0) > coalesce(t.n, 0) THEN 'missing' ELSE 'extra' END AS kind,
        abs(coalesce(s.n, 0) - coalesce(t.n, 0)) AS n, ${this.#texts()}
      FROM ${counted(source)} s FULL JOIN ${counted(copied)} t ON ${same}
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
    const keyed = sides.filter(({ name }) => this.#key.includes(name));
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

  async #push(rows: Rows, sql: (shown: Rows) => (source: string) => string): Promise<void> {
    if (this.#loading === null || !sameShape(this.#loading.shape, rows)) {
      await this.#flush();
      const shown = rows;
      const feed = shown.columns.map((_, index) => ({ index, type: shown.values[index]!.type }));
      this.#loading = { shape: shown, loader: new Loader(this.#session, feed, sql(shown)) };
    }
    await this.#loading.loader.push(rows);
  }

  async #flush(): Promise<void> {
    const loading = this.#loading;
    this.#loading = null;
    await loading?.loader.flush();
  }

  /** The columns of a batch of the source as those of a stage: what it lacks is NULL. */
  #sourceColumns(rows: Rows): string {
    const targets = new Map<string, Target>(this.#columns.map(({ name, type }) => [name, { sql: staged(name), type }]));
    const wanted = rows.columns.flatMap((name, index) => (targets.has(name) ? [index] : []));
    const cast = castColumns(this.#table.id, targets, rows, wanted);
    return this.#columns
      .map(({ name, type }) => {
        const found = cast.find((column) => column.name === name);
        return `${found?.expression ?? `CAST(NULL AS ${duckdbType(type)})`} AS ${staged(name)}`;
      })
      .join(", ");
  }

  /** Live rows of the copy, with the columns of a stage. */
  #copied(): string {
    const columns = this.#columns.map(({ name, copy }) => `${copy} AS ${staged(name)}`).join(", ");
    return `(SELECT ${columns} FROM ${this.#copy.relation} t WHERE NOT t.${quotedSystem(this.#copy).deleted})`;
  }

  #bucket(): string {
    return `(${this.#hash(this.#columns.filter(({ name }) => this.#key.includes(name)))} % ${buckets})::UINTEGER`;
  }

  #digest(): string {
    return this.#hash(this.#columns);
  }

  #hash(columns: readonly Compared[]): string {
    return `hash(${columns.map(({ name, type }) => hashable(staged(name), type)).join(", ")})`;
  }

  #mustBeDigested(): string {
    if (this.#differing === null)
      throw new HeadwatersError("DEFECT", "the second reading of verify came before the first ended");
    return this.#differing;
  }
}

/** As ISO 8601 where it is a time, so that it can be read as one. */
function asText(value: string, type: Type): string {
  const text = `CAST(${value} AS VARCHAR)`;
  if (type.kind === "UTC_DATETIME") return `replace(regexp_replace(${text}, '\\+00$', 'Z'), ' ', 'T')`;
  return type.kind === "NAIVE_DATETIME" ? `replace(${text}, ' ', 'T')` : text;
}
