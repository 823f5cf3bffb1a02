import { HeadwatersError } from "../../protocol/errors.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { Comparison, Difference, Differences, Seal } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { widen } from "../../toolkit/types.ts";
import { quotedSystem, storedType } from "./copies.ts";
import type { Loader, Row, Session, Target } from "./dialect.ts";
import { type Explain, judge } from "./judge.ts";
import { temporary } from "./names.ts";
import { partsOfCopy, partsOfStage } from "./parts.ts";
import { lastWritten, sealOf } from "./seals.ts";
import { createStage, staged, stagedPlace } from "./stage.ts";
import type { Copy, Stage } from "./model.ts";
import { Unstaged } from "./unstaged.ts";

/** The number of buckets for hashes of keys: few enough to sum up at once, many enough that each holds few rows. */
const buckets = 4_096;
/** So many buckets are named in a statement. */
const fewBuckets = 100;

/** `written`: as in `Comparison`. */
export function compareCopy(
  session: Session,
  connection: string,
  table: Table,
  copy: Copy,
  written: string | null,
): Comparison {
  const { dialect } = session;
  const columns = table.columns
    .filter(({ volatile }) => volatile !== true)
    .map(({ name, type }): Compared => {
      const stored = storedType(dialect, copy, name);
      const both = stored === undefined ? type : widen(stored, type);
      const value = stored === undefined ? "NULL" : `t.${dialect.quote(name)}`;
      return { name, type: both, sql: staged(dialect, name), copy: `CAST(${value} AS ${dialect.typeName(both)})` };
    });
  // Rows without columns are compared by their number: each has one NULL.
  if (columns.length === 0) {
    const [type, sql] = [{ kind: "BOOLEAN" } as const, staged(dialect, "")];
    columns.push({ name: "", type, sql, copy: `CAST(NULL AS ${dialect.typeName(type)})` });
  }
  return new CopyComparison(session, connection, table, copy, written, columns);
}

/** A compared column. Both sides have a type that holds the values of both, and the column's name in a stage. */
interface Compared extends Target {
  readonly name: string;
  /** The expression for the value in row `t` of the copy; NULL if the copy lacks the column. */
  readonly copy: string;
}

class CopyComparison implements Comparison {
  readonly written: string | null;
  readonly #session: Session;
  readonly #connection: string;
  readonly #table: Table;
  readonly #copy: Copy;
  /** The columns that identify a row: the key, or all columns of a table without a key. */
  readonly #key: readonly Compared[];
  readonly #columns: readonly Compared[];
  /** The parts of the copy. They are known from the end of the first reading. */
  #copyParts: readonly string[] = [];
  /** The number of live rows of the copy. */
  #copied = 0;
  /** The source's rows, while they are few; `null`: they are summed up in `#digests`. */
  #read: Unstaged | null = new Unstaged();
  /** The temporary table of the sums of the source's rows; `null`: there is none yet. */
  #digests: string | null = null;
  #loader: Loader | null = null;
  /** Whether the rows in memory turned out to be those of the copy. */
  #equal = false;
  /** The temporary table of the sums of the copy's parts; `null`: it is one part. */
  #copyDigests: string | null = null;
  /** The temporary table of the differing buckets; `null`: there is none yet. */
  #differing: string | null = null;
  /** The differing buckets, as the list of an `IN`; `null`: not asked for yet. */
  #which: string | null = null;
  /** The source's rows in differing buckets. */
  #collected: Stage | null = null;

  constructor(
    session: Session,
    connection: string,
    table: Table,
    copy: Copy,
    written: string | null,
    columns: readonly Compared[],
  ) {
    this.written = written;
    this.#session = session;
    this.#connection = connection;
    this.#table = table;
    this.#copy = copy;
    this.#columns = columns;
    this.#key = table.key.length > 0 ? columns.filter(({ name }) => table.key.includes(name)) : columns;
  }

  async rewritten(): Promise<boolean> {
    return (await lastWritten(this.#session, this.#connection, this.#table.id)) !== this.written;
  }

  seal(): Promise<Seal> {
    return sealOf(this.#session, this.#connection, this.#table, this.#copy);
  }

  async digest(rows: Rows): Promise<void> {
    if (this.#read?.take(rows) === true) return;
    if (this.#read !== null) await this.#sumUp();
    await this.#loader!.push(rows);
  }

  async digested(): ReturnType<Comparison["digested"]> {
    this.#copyParts = await partsOfCopy(this.#session, this.#copy);
    const copied = await this.#copySums();
    if (this.#read !== null) {
      const source = (rows: string): string =>
        this.#counted(`(${this.#joined(`(${this.#digestsOf(rows)})`, copied)}) joined`);
      const found = foundIn(await this.#session.over(this.#table, this.#types, this.#read.batches, source));
      if (found.differing === 0) {
        this.#equal = true;
        return found;
      }
      await this.#sumUp();
    }
    await this.#flush();
    const differing = temporary(this.#session, "differing");
    await this.#session.run(`CREATE TEMPORARY TABLE ${differing} AS ${this.#joined(summed(this.#digests!), copied)}`);
    this.#differing = differing;
    const found = foundIn(await this.#session.rows(this.#counted(differing)));
    this.#copied = found.copy;
    await this.#session.run(`DELETE FROM ${differing} WHERE NOT differs`);
    return found;
  }

  async collect(rows: Rows): Promise<void> {
    const { relation } = await this.#collection();
    const differing = await this.#differingBuckets();
    const own = this.#session.dialect.numbered ? [stagedPlace] : [];
    const names = [...this.#columns.map(({ sql }) => sql), ...own].join(", ");
    const which = (this.#which ??= await this.#chosen(differing));
    this.#loader ??= this.#through(
      (source) => `INSERT INTO ${relation} (${names}) SELECT ${names} FROM ${source} d
        WHERE ${this.#bucket()} IN (${which})`,
    );
    await this.#loader.push(rows);
  }

  /** The differing buckets, if they are few as constants: DuckDB may put all rows of a join into memory. */
  async #chosen(differing: string): Promise<string> {
    const rows = await this.#session.rows(`SELECT bucket FROM ${differing} LIMIT ${fewBuckets + 1}`);
    const few = rows.length > 0 && rows.length <= fewBuckets;
    return few ? rows.map(({ bucket }) => String(bucket)).join(", ") : `SELECT bucket FROM ${differing}`;
  }

  async differences(limit: number, explain: Explain): Promise<Differences> {
    await this.#flush();
    const collected = await this.#collection();
    const keyed = this.#table.key.length > 0;
    const conflicts = keyed ? await this.#conflicts(collected.relation, limit) : { count: 0, moved: 0, shown: [] };
    const { merging } = this.#session.dialect;
    const again = keyed ? await merging.keepLast(this.#session, this.#table, collected, false) : 0;
    const found = await this.#found(collected);
    const version = this.#columns.findIndex(({ name }) => name === this.#table.version);
    const sides = version < 0 ? "" : `, s${version}, t${version}`;
    const first = this.#columns.indexOf(this.#key[0]!);
    const spots = temporary(this.#session, "spots");
    // Only short columns are sorted.
    await this.#session.run(
      `CREATE TEMPORARY TABLE ${spots} AS
        SELECT f.kind, f.n, f.nr${sides}, row_number() OVER (ORDER BY kind, coalesce(s${first}, t${first})) AS spot FROM ${found} f`,
    );
    const versions = version < 0 ? null : ([`s${version}`, `t${version}`] as const);
    const judged = await judge(this.#session, this.#table, spots, versions, limit, explain);
    const { places, unexplained, ...counts } = judged;
    const rows = new Map<number, Readonly<Record<string, string | null>>>();
    if (places.length > 0) {
      const shown = `SELECT nr, spot FROM ${spots} WHERE spot IN (${places.join(", ")})`;
      const { slicing } = this.#session.dialect;
      const picked = await slicing.pick(this.#session, found, `WHERE t.nr IN (SELECT nr FROM (${shown}) shown)`);
      for (const row of await this.#session.rows(
        `SELECT p.*, s.spot FROM ${picked} p JOIN (${shown}) s ON s.nr = p.nr`,
      ))
        rows.set(Number(row["spot"]), row as Readonly<Record<string, string | null>>);
    }
    await this.#session.run(`DROP TABLE ${found}`);
    await this.#session.run(`DROP TABLE ${spots}`);
    return {
      ...counts,
      repeated: conflicts.count,
      moved: conflicts.moved,
      again,
      unexplained: unexplained + conflicts.count,
      shown: [...conflicts.shown, ...places.map((place) => this.#difference(rows.get(place)!))],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // After a failure in a transaction, statements fail too. Temporary tables end with the transaction or the session.
    await this.#flush().catch(() => {});
    for (const relation of [this.#digests, this.#copyDigests, this.#differing, this.#collected?.relation ?? null])
      if (relation !== null) await this.#session.run(`DROP TABLE IF EXISTS ${relation}`).catch(() => {});
  }

  /**
   * Keys that the source gave more than once with different values. `moved`: those in buckets that the first reading had
   * other rows of, so that one row may have been read before and after it changed. Call it before the last row of each key
   * is chosen.
   */
  async #conflicts(
    collected: string,
    limit: number,
  ): Promise<{ readonly count: number; readonly moved: number; readonly shown: readonly Difference[] }> {
    const { comparable, strong } = this.#session.dialect;
    const keys = this.#key.map(({ sql, type }) => ({ value: comparable(sql, type), type }));
    const texts = keys.map(({ value, type }, place) => `${asText(value, type)} AS k${place}`);
    const list = keys.map(({ value }) => value).join(", ");
    const again = temporary(this.#session, "again");
    await this.#session.run(
      `CREATE TEMPORARY TABLE ${again} AS SELECT DISTINCT bucket FROM
        (SELECT min(${this.#bucket()}) AS bucket FROM ${collected} c GROUP BY ${list} HAVING count(*) > 1) repeated`,
    );
    const some = (await this.#session.number(`SELECT count(*) FROM ${again}`)) > 0;
    const which = `WHERE ${this.#bucket()} IN (SELECT bucket FROM ${again})`;
    const rows = some ? await this.#session.dialect.slicing.pick(this.#session, collected, which) : null;
    const conflicts = temporary(this.#session, "conflicts");
    if (rows !== null)
      await this.#session.run(
        `CREATE TEMPORARY TABLE ${conflicts} AS SELECT ${texts.join(", ")}, min(${this.#bucket()}) AS bucket
        FROM ${rows} c GROUP BY ${list}
        HAVING count(*) > 1 AND count(DISTINCT ${strong(this.#columns)}) > 1`,
      );
    await this.#session.run(`DROP TABLE ${again}`);
    if (rows === null) return { count: 0, moved: 0, shown: [] };
    const count = await this.#session.number(`SELECT count(*) FROM ${conflicts}`);
    const still = `SELECT first.bucket FROM ${summed(this.#digests!)} first
      JOIN (${this.#digestsOf(collected)}) second ON first.bucket = second.bucket
      WHERE first.n = second.n AND first.low = second.low AND first.high = second.high`;
    const those = `FROM ${conflicts} WHERE bucket IN (${still})`;
    const repeated = count === 0 ? 0 : await this.#session.number(`SELECT count(*) ${those}`);
    const first =
      repeated === 0 ? [] : await this.#session.rows(`SELECT * ${those} ORDER BY k0 LIMIT ${Math.trunc(limit)}`);
    await this.#session.run(`DROP TABLE ${conflicts}`);
    const shown = first.map((row): Difference => ({
      kind: "repeated",
      key: Object.fromEntries(this.#key.map(({ name }, place) => [name, row[`k${place}`] as string | null])),
      version: { source: null, copy: null },
      columns: [],
    }));
    return { count: repeated, moved: count - repeated, shown };
  }

  /** The sums of the copy by bucket, as a relation. */
  async #copySums(): Promise<string> {
    const [first, ...others] = this.#copyParts.map((part) => this.#digestsOf(this.#live(part)));
    if (others.length === 0) return `(${first})`;
    const digests = await this.#createDigests();
    this.#copyDigests = digests;
    for (const query of [first, ...others]) await this.#session.run(`INSERT INTO ${digests} ${query}`);
    return summed(digests);
  }

  /** Creates a temporary table of sums by bucket. */
  async #createDigests(): Promise<string> {
    const { sumType } = this.#session.dialect;
    const digests = temporary(this.#session, "digests");
    await this.#session.run(
      `CREATE TEMPORARY TABLE ${digests} (bucket bigint, n bigint, low ${sumType}, high ${sumType})`,
    );
    return digests;
  }

  /** The live rows of these rows of the copy, with the column names of a stage. */
  #live(rows: string): string {
    return `(SELECT ${this.#columns.map(({ sql, copy }) => `${copy} AS ${sql}`).join(", ")} FROM ${rows} t
      WHERE NOT t.${quotedSystem(this.#session.dialect, this.#copy).deleted})`;
  }

  /** The number of groups of differing buckets whose rows are compared one after the other. */
  async #groups(collected: Stage, differing: string): Promise<number> {
    const ofStage = (await partsOfStage(this.#session, collected)).length;
    const ofCopy = this.#copyParts.length;
    if (ofStage === 1 && ofCopy === 1) return 1;
    const copied = await this.#session.number(`SELECT coalesce(sum(copy), 0) FROM ${differing}`);
    return ofStage + Math.ceil((ofCopy * copied) / Math.max(1, this.#copied));
  }

  /**
   * Finds all differences, as a temporary table. A bucket has all rows of a key, so that long rows are compared by a few
   * buckets at a time.
   */
  async #found(collected: Stage): Promise<string> {
    const { slicing, bucket, hash } = this.#session.dialect;
    const differing = await this.#differingBuckets();
    const groups = await this.#groups(collected, differing);
    const inCopy = bucket(hash(this.#key.map(({ copy, type }) => ({ sql: copy, type }))), buckets);
    const found = temporary(this.#session, "found");
    for (let group = 0; group < groups; group++) {
      const chosen = `(SELECT bucket FROM ${differing} WHERE bucket % ${groups} = ${group})`;
      const stage =
        groups === 1
          ? collected.relation
          : await slicing.pick(this.#session, collected.relation, `WHERE ${this.#bucket()} IN ${chosen}`);
      const copy =
        groups === 1
          ? `(SELECT * FROM ${this.#live(this.#copy.relation)} c WHERE ${this.#bucket()} IN ${chosen})`
          : this.#live(await slicing.pick(this.#session, this.#copy.relation, `WHERE ${inCopy} IN ${chosen}`));
      const query =
        this.#table.key.length > 0 ? this.#keyedDifferences(stage, copy) : this.#countedDifferences(stage, copy);
      const numbered = `SELECT *, ${group} * CAST(4294967296 AS bigint) + row_number() OVER () AS nr FROM (${query}) f`;
      await this.#session.run(
        group === 0 ? `CREATE TEMPORARY TABLE ${found} AS ${numbered}` : `INSERT INTO ${found} ${numbered}`,
      );
    }
    return found;
  }

  /** The differences of a table with a key. A second row of the copy with the same key is `extra`. */
  #keyedDifferences(source: string, copied: string): string {
    const { comparable, differ, sameValues } = this.#session.dialect;
    const list = this.#key.map(({ sql, type }) => comparable(sql, type)).join(", ");
    const differs =
      this.#columns
        .filter((column) => !this.#key.includes(column))
        .map(({ sql, type }) => differ(`s.${sql}`, `t.${sql}`, type))
        .join(" OR ") || "false";
    return `SELECT CASE WHEN s.present IS NULL OR t.twin > 1 THEN 'extra' WHEN t.twin IS NULL THEN 'missing' ELSE 'different' END AS kind,
        1 AS n, ${this.#texts()}
      FROM (SELECT *, true AS present FROM ${source}) s
      FULL JOIN (SELECT *, row_number() OVER (PARTITION BY ${list}) AS twin FROM ${copied} r) t ON ${sameValues(this.#key, "s", "t")}
      WHERE s.present IS NULL OR t.twin IS NULL OR t.twin > 1 OR ${differs}`;
  }

  /** The differences of a table without a key, by how often each row occurs on either side. */
  #countedDifferences(source: string, copied: string): string {
    const { exact, sameValues, typeName } = this.#session.dialect;
    const list = this.#columns.map(({ sql, type }) => exact(sql, type)).join(", ");
    const again = this.#columns.map(({ sql, type }) => `CAST(${exact(sql, type)} AS ${typeName(type)}) AS ${sql}`);
    const counted = (rows: string): string =>
      `(SELECT ${again.join(", ")}, count(*) AS n FROM ${rows} r GROUP BY ${list})`;
    return `SELECT CASE WHEN coalesce(s.n, 0) > coalesce(t.n, 0) THEN 'missing' ELSE 'extra' END AS kind,
        abs(coalesce(s.n, 0) - coalesce(t.n, 0)) AS n, ${this.#texts()}
      FROM ${counted(source)} s FULL JOIN ${counted(copied)} t ON ${sameValues(this.#key, "s", "t")}
      WHERE s.n IS DISTINCT FROM t.n`;
  }

  /** Both sides of every column as text, named by the column's place: `s0`, `t0`, `s1`, … */
  #texts(): string {
    return this.#columns
      .map(
        ({ sql, type }, place) => `${asText(`s.${sql}`, type)} AS s${place}, ${asText(`t.${sql}`, type)} AS t${place}`,
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

  /** Sums up the source's rows in a temporary table, from those in memory on. */
  async #sumUp(): Promise<void> {
    const digests = await this.#createDigests();
    this.#digests = digests;
    const loader = this.#through((source) => `INSERT INTO ${digests} ${this.#digestsOf(source)}`);
    this.#loader = loader;
    const batches = this.#read?.batches ?? [];
    this.#read = null;
    for (const rows of batches) await loader.push(rows);
  }

  /** The sums of both sides by bucket. `sums`: those of the source. `copied`: those of the copy. */
  #joined(sums: string, copied: string): string {
    return `SELECT coalesce(s.bucket, t.bucket) AS bucket, coalesce(s.n, 0) AS source, coalesce(t.n, 0) AS copy,
        s.n IS DISTINCT FROM t.n OR s.low IS DISTINCT FROM t.low OR s.high IS DISTINCT FROM t.high AS differs
      FROM ${sums} s FULL JOIN ${copied} t ON s.bucket = t.bucket`;
  }

  #counted(joined: string): string {
    return `SELECT coalesce(sum(source), 0) AS source, coalesce(sum(copy), 0) AS copy,
      count(*) FILTER (WHERE differs) AS differing FROM ${joined}`;
  }

  #through(statement: (source: string) => string): Loader {
    return this.#session.through(this.#table, this.#types, statement);
  }

  async #flush(): Promise<void> {
    const loader = this.#loader;
    this.#loader = null;
    await loader?.flush();
  }

  async #collection(): Promise<Stage> {
    this.#collected ??= await createStage(
      this.#session,
      "TEMPORARY TABLE",
      temporary(this.#session, "collected"),
      this.#types,
    );
    return this.#collected;
  }

  get #types(): ReadonlyMap<string, Type> {
    return new Map(this.#columns.map(({ name, type }) => [name, type]));
  }

  /**
   * The number of rows in each bucket, and the sums of both halves of their digests, which do not depend on the order of
   * rows. The digest is not the hash by which a full pass is settled: a fault of one is seen by the other.
   */
  #digestsOf(rows: string): string {
    const { strong, halves, fence } = this.#session.dialect;
    const [low, high] = halves("digest");
    return `SELECT bucket, count(*) AS n, sum(${low}) AS low, sum(${high}) AS high
      FROM (SELECT ${this.#bucket()} AS bucket, ${strong(this.#columns)} AS digest FROM ${rows} d ${fence}) digested
      GROUP BY bucket`;
  }

  #bucket(): string {
    const { bucket, hash } = this.#session.dialect;
    return bucket(hash(this.#key), buckets);
  }

  async #differingBuckets(): Promise<string> {
    if (this.#differing === null && this.#equal) {
      const none = temporary(this.#session, "differing");
      await this.#session.run(`CREATE TEMPORARY TABLE ${none} (bucket bigint, copy bigint)`);
      this.#differing = none;
    }
    if (this.#differing === null)
      throw new HeadwatersError("DEFECT", "the second reading of verify came before the first ended");
    return this.#differing;
  }
}

/** The sums in a table of sums by bucket, one row for each bucket. */
function summed(digests: string): string {
  return `(SELECT bucket, sum(n) AS n, sum(low) AS low, sum(high) AS high FROM ${digests} GROUP BY bucket)`;
}

function foundIn([row]: readonly Row[]): Awaited<ReturnType<Comparison["digested"]>> {
  const at = (name: string): number => Number(row![name]);
  return { source: at("source"), copy: at("copy"), buckets, differing: at("differing") };
}

/** A value as text; times as ISO 8601, so that they can be parsed. */
function asText(value: string, { kind }: Type): string {
  const text = `CAST(${value} AS text)`;
  if (kind === "UTC_DATETIME") return `regexp_replace(regexp_replace(${text}, '\\+00$', 'Z'), ' ', 'T')`;
  return kind === "NAIVE_DATETIME" ? `regexp_replace(${text}, ' ', 'T')` : text;
}
