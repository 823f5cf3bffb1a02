import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Dialect, Session } from "./dialect.ts";
import type { KeptRows } from "./ledger.ts";
import type { Copy } from "./model.ts";
import { copyName, literal } from "./names.ts";

/** The comment of a view ends with this: by it we know our own. */
const marker = "Made by Headwaters.";

/** A relation in the schema of the views. */
interface Known {
  readonly isOurs: boolean;
  /** Its columns and their types; `null`: not asked for. */
  readonly columns: string | null;
}

/**
 * A view of each copy, without deleted rows and without system columns: `views: live`. It has the copy's name, and is in a
 * schema beside that of the copies. What there is of them is asked for once; a view is made again only if it differs.
 */
export class LiveViews {
  readonly #session: Session;
  readonly #context: DestinationContext;
  /** The connection's rows of `copies`. */
  readonly #copies: KeptRows;
  readonly #schema: string;
  /** By the identity of the name. */
  #known: Map<string, Known> | null = null;

  constructor(session: Session, context: DestinationContext, copies: KeptRows) {
    this.#session = session;
    this.#context = context;
    this.#copies = copies;
    this.#schema = session.dialect.physical(`${context.schema}_live`);
  }

  /** Makes the view of a copy as it has to be now. Throws `DESTINATION_UNUSABLE` if something else has its name. */
  async fit(copy: Copy): Promise<void> {
    const known = await this.#load();
    if (this.#context.views !== "live") return;
    const { dialect } = this.#session;
    const name = copyName(this.#context, copy.id);
    const id = dialect.identity(dialect.physical(name));
    const system: readonly string[] = Object.values(copy.system);
    const shown = [...copy.native].filter(([column]) => !system.includes(column));
    const columns = signature(shown);
    const found = known.get(id);
    if (found?.columns === columns) return;
    const view = dialect.relation(this.#schema, name);
    if (found !== undefined && !found.isOurs) {
      throw new HeadwatersError(
        "DESTINATION_UNUSABLE",
        `views: ${this.#schema}.${name} exists already, and Headwaters did not make it`,
        { hint: "Drop or rename it, choose another schema, or leave out views: live." },
      );
    }
    if (known.size === 0) {
      await dialect.lockBookkeeping(this.#session);
      await dialect.createSchema(this.#session, this.#schema);
    }
    const list = shown.map(([column]) => dialect.quote(column)).join(", ");
    // Replaced, not dropped: grants and views of others on it stay.
    await this.#session.run(
      `CREATE OR REPLACE VIEW ${view} AS SELECT ${list} FROM ${this.#attached(name)}
        WHERE NOT ${dialect.quote(copy.system.deleted)}`,
    );
    const comment = `The rows of "${this.#context.schema}"."${name}" that are not deleted. ${marker}`;
    await this.#session.run(`COMMENT ON VIEW ${view} IS ${literal(comment)}`);
    known.set(id, { isOurs: true, columns });
  }

  /** Drops the view of a copy that is about to be dropped, or to have columns of other types. */
  async release(copy: Copy): Promise<void> {
    await this.#drop(copyName(this.#context, copy.id));
  }

  async #drop(name: string): Promise<void> {
    const { dialect } = this.#session;
    const known = await this.#load();
    const id = dialect.identity(dialect.physical(name));
    if (known.get(id)?.isOurs !== true) return;
    await this.#session.run(`DROP VIEW ${dialect.relation(this.#schema, name)}`);
    known.delete(id);
  }

  async #load(): Promise<Map<string, Known>> {
    if (this.#known !== null) return this.#known;
    const { dialect } = this.#session;
    const comments = await dialect.viewComments(this.#session, this.#schema);
    const known = new Map<string, Known>();
    for (const [name, comment] of comments)
      known.set(dialect.identity(name), { isOurs: comment?.endsWith(marker) === true, columns: null });
    this.#known = known;
    if (this.#context.views !== "live") {
      // The setting was taken back.
      if (known.size > 0) for (const { table_name } of this.#copies.all()) await this.#drop(table_name as string);
      return known;
    }
    for (const { table, columns } of await dialect.describe(this.#session, this.#schema, null)) {
      const id = dialect.identity(table);
      const isOurs = known.get(id)?.isOurs === true;
      known.set(id, { isOurs, columns: isOurs ? signature(columns.map(({ name, type }) => [name, type])) : null });
    }
    return known;
  }

  /**
   * A copy without the name of its database, which may be another where its file is attached; unless that is the name of the
   * schema too.
   */
  #attached(name: string): string {
    const { dialect } = this.#session;
    const { schema } = this.#context;
    const short = `${dialect.quote(schema)}.${dialect.quote(name)}`;
    const full = dialect.relation(schema, name);
    return sameCatalog(dialect, full, short, schema) ? full : short;
  }
}

function sameCatalog({ identity, quote }: Dialect, full: string, short: string, schema: string): boolean {
  const catalog = full.slice(0, -short.length - 1);
  return identity(catalog) === identity(quote(schema));
}

function signature(columns: readonly (readonly [name: string, type: string])[]): string {
  return JSON.stringify(columns);
}
