import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { ReqlConnection } from "../../wire/reql/connection.ts";
import { ReqlQueryError } from "../../wire/reql/failures.ts";
import { datum, type Term, term } from "../../wire/reql/terms.ts";

/** A table as the server describes it. */
export interface Described {
  readonly name: string;
  /** A UUID; another table with the same name has another one. */
  readonly id: string;
  readonly primaryKey: string;
  /** For small tables it may be wrong by a factor of two. */
  readonly estimatedRows: number | null;
  /** Why the server did not report the primary key, so that it is assumed to be `id`; `null`: the server did. */
  readonly assumed: string | null;
}

interface IndexStatus {
  readonly index: string;
  readonly ready: boolean;
  readonly multi: boolean;
  readonly geo: boolean;
  /** The definition: `indexCreate('updated_at', function(var1) { return var1("updated_at"); })`. */
  readonly query: string;
}

export function tableTerm(database: string, name: string, readMode?: string): Term {
  return term("TABLE", [term("DB", [database]), name], readMode === undefined ? undefined : { read_mode: readMode });
}

/** Names of the tables of a database. Throws `DATABASE_UNKNOWN`, and lists the existing databases. */
export async function listTables(
  connection: ReqlConnection,
  database: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const databases = (await connection.value(term("DB_LIST"), {}, signal)) as readonly string[];
  if (!databases.includes(database)) {
    const others = databases.filter((name) => name !== "rethinkdb");
    throw new HeadwatersError("DATABASE_UNKNOWN", `database: the server has no database "${database}"`, {
      hint:
        others.length === 0 ? "The server has no database yet." : `Case matters. The server has ${others.join(", ")}.`,
    });
  }
  return (await connection.value(term("TABLE_LIST", [term("DB", [database])]), {}, signal)) as readonly string[];
}

/**
 * Uses `table.info()`. If the server can't answer, the primary key is assumed to be `id`, as in the published example.
 */
export async function describeTable(
  connection: ReqlConnection,
  database: string,
  name: string,
  signal: AbortSignal,
): Promise<Described> {
  try {
    const info = await connection.value(term("INFO", [tableTerm(database, name)]), {}, signal);
    const { id, primary_key: primaryKey, doc_count_estimates: counts } = info as Readonly<Record<string, Json>>;
    return {
      name,
      id: String(id),
      primaryKey: String(primaryKey),
      estimatedRows: (counts as readonly number[] | undefined)?.reduce((sum, count) => sum + count, 0) ?? null,
      assumed: null,
    };
  } catch (thrown) {
    if (!(thrown instanceof ReqlQueryError) || !cannotSay(thrown)) throw thrown;
    return { name, id: "", primaryKey: "id", estimatedRows: null, assumed: thrown.message };
  }
}

/** The server can't describe the table, though it exists, is available, and may be read. */
function cannotSay({ type, code, message }: ReqlQueryError): boolean {
  return type === 17 || code === 3_000_000 || (code === 1_000_000 && !message.includes("permission"));
}

/** Ready indexes whose values are those of one field, unchanged: the index's name by field. */
export async function plainIndexes(
  connection: ReqlConnection,
  table: Term,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const found = await connection.value(term("INDEX_STATUS", [table]), {}, signal);
  const plain = new Map<string, string>();
  for (const { index, ready, multi, geo, query } of found as unknown as readonly IndexStatus[]) {
    const field = ready && !multi && !geo ? fieldRead(query) : null;
    if (field !== null) plain.set(field, index);
  }
  return plain;
}

const literal = `("(?:[^"\\\\]|\\\\.)*")`;
const reading = new RegExp(
  `function\\(([\\w$]+)\\) \\{ return (?:([\\w$]+)(?:\\.getField)?|r\\.row(?:\\.getField)?)\\(${literal}\\); \\}\\)$`,
  "s",
);

/** The field that `function(x) { return x("field"); }`, `x.getField("field")` or `r.row("field")` reads. */
function fieldRead(query: string): string | null {
  const [, parameter, row, field] = reading.exec(query) ?? [];
  if (field === undefined || (row !== undefined && row !== parameter)) return null;
  return field.includes("\\") ? null : field.slice(1, -1);
}

/** The first and the last key in a table's primary index; `null`: the table is empty. */
export async function keyRange(
  connection: ReqlConnection,
  table: Term,
  primaryKey: string,
  signal: AbortSignal,
): Promise<{ readonly first: Json; readonly last: Json } | null> {
  const end = async (order: Term): Promise<Json | undefined> => {
    const ordered = term("LIMIT", [term("ORDER_BY", [table], { index: order }), 1]);
    const rows = (await connection.value(term("PLUCK", [ordered, primaryKey]), {}, signal)) as readonly {
      readonly [field: string]: Json;
    }[];
    return rows[0]?.[primaryKey];
  };
  const [first, last] = await Promise.all([end(term("ASC", [primaryKey])), end(term("DESC", [primaryKey]))]);
  return first === undefined || last === undefined ? null : { first, last };
}

/** The server's clock, in milliseconds since 1970. */
export async function serverTime(connection: ReqlConnection, signal: AbortSignal): Promise<number> {
  const seconds = await connection.value(term("TO_EPOCH_TIME", [term("NOW")]), {}, signal);
  return Math.round((seconds as number) * 1_000);
}

/** Rows of a table whose keys lie between two keys (`null`: no bound), in the order of keys. */
export function keysBetween(
  table: Term,
  primaryKey: string,
  bounds: { readonly low: Json; readonly lowOpen: boolean; readonly high: Json },
): Term {
  const low = bounds.low === null ? term("MINVAL") : datum(bounds.low);
  const high = bounds.high === null ? term("MAXVAL") : datum(bounds.high);
  const options = bounds.lowOpen ? { left_bound: "open" } : {};
  return term("ORDER_BY", [term("BETWEEN", [table, low, high], options)], { index: primaryKey });
}
