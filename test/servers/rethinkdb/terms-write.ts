import { randomBytes, randomUUID } from "node:crypto";
import { termNumbers as T } from "../../../src/wire/reql/terms.ts";
import { demand } from "./access.ts";
import { compare, type Datum, type DatumObject, isObject, keyProblem, normalize, typeName } from "./datum.ts";
import type { Call, TermRule } from "./call.ts";
import { fail } from "./failure.ts";
import type { Entry, Store, Table } from "./storage.ts";
import { datum, rowsOf, type TableValue, toDatum, type Value } from "./values.ts";

/** Terms that change documents. */
export const writeTerms: Readonly<Record<number, TermRule>> = {
  [T.INSERT]: { takes: [2, 2], run: insert },
  [T.UPDATE]: { takes: [2, 2], run: (call) => change(call, (row, given) => ({ ...row, ...(given as DatumObject) })) },
  [T.REPLACE]: { takes: [2, 2], run: (call) => change(call, (_row, given) => given) },
  [T.DELETE]: { takes: [1, 1], run: (call) => change(call, () => null) },
  [T.SYNC]: { takes: [1, 1], run: () => datum({ synced: 1 }) },
};

/** What a write answers. */
class Summary {
  readonly #counts = { deleted: 0, errors: 0, inserted: 0, replaced: 0, skipped: 0, unchanged: 0 };
  readonly #keys: string[] = [];
  #firstError: string | null = null;

  count(what: "deleted" | "inserted" | "replaced" | "skipped" | "unchanged"): void {
    this.#counts[what]++;
  }

  error(message: string): void {
    this.#counts.errors++;
    this.#firstError ??= message;
  }

  key(made: string): void {
    this.#keys.push(made);
  }

  get value(): Value {
    return datum(
      normalize({
        ...this.#counts,
        ...(this.#firstError === null ? {} : { first_error: this.#firstError }),
        ...(this.#keys.length === 0 ? {} : { generated_keys: this.#keys }),
      }),
    );
  }
}

function insert(call: Call): Value {
  const raw = call.raw(0);
  if (Array.isArray(raw) && raw[0] === T.TABLE && isUsersTable(raw)) return insertUsers(call);
  const value = call.value(0);
  if (value.kind !== "table") throw fail("logic", "Expected type TABLE.", call.path);
  demand(call.context.user, "write", value.database, value.table, call.path);
  const given = call.datum(1);
  const summary = new Summary();
  const conflict = call.option("conflict") ?? "error";
  for (const document of (Array.isArray(given) ? given : [given]) as Datum[]) {
    insertOne(value.table, document, conflict, summary);
  }
  return summary.value;
}

function insertOne(table: Table, given: Datum, conflict: Datum, summary: Summary): void {
  if (typeName(given) !== "OBJECT") return summary.error(`Expected type OBJECT but found ${typeName(given)}.`);
  let document = given as DatumObject;
  if (!(table.primaryKey in document)) {
    const made = randomUUID();
    document = { ...document, [table.primaryKey]: made };
    summary.key(made);
  }
  const key = document[table.primaryKey]!;
  const problem = keyProblem(key);
  if (problem !== null) return summary.error(problem);
  const known = table.get(normalize(key));
  if (known === undefined) {
    table.put(document);
    return summary.count("inserted");
  }
  if (conflict === "error") {
    return summary.error(`Duplicate primary key \`${table.primaryKey}\`:\n${known.text.toString()}\n`);
  }
  const merged = conflict === "update" ? { ...known.document, ...document } : document;
  store(table, known, merged, summary);
}

function store(table: Table, known: Entry, document: DatumObject, summary: Summary): void {
  if (compare(normalize(document), known.document) === 0) return summary.count("unchanged");
  table.put(document);
  summary.count("replaced");
}

function change(call: Call, make: (row: DatumObject, given: Datum) => Datum): Value {
  const target = call.value(0);
  const of = tableOf(target);
  if (of === null) throw fail("logic", "Expected type SELECTION.", call.path);
  demand(call.context.user, "write", of.database, of.table, call.path);
  const fn = call.count > 1 ? call.callable(1) : null;
  const summary = new Summary();
  for (const key of keysOf(target, call)) {
    const known = of.table.get(key);
    if (known === undefined) {
      summary.count("skipped");
      continue;
    }
    const given = fn === null ? null : fn.kind === "like" ? fn.datum : toDatum(fn.call([known.document]), call.path);
    const made = make(known.document, given);
    if (isObject(made)) store(of.table, known, made, summary);
    else {
      of.table.remove(key);
      summary.count("deleted");
    }
  }
  return summary.value;
}

function tableOf(value: Value): TableValue | null {
  if (value.kind === "table") return value;
  if (value.kind === "selection") return value.table;
  return value.kind === "stream" ? (value.of ?? null) : null;
}

function keysOf(value: Value, call: Call): Datum[] {
  if (value.kind === "selection") return [value.key];
  return [...rowsOf(value, call.path)].map(({ datum, entry }) =>
    entry === undefined ? (datum as DatumObject)["id"]! : entry.key,
  );
}

/** `r.db("rethinkdb").table("users").insert(…)` makes users. */
function isUsersTable(raw: readonly unknown[]): boolean {
  const [database, name] = raw[1] as [[number, [string]], string];
  return Array.isArray(database) && database[1][0] === "rethinkdb" && name === "users";
}

function insertUsers(call: Call): Value {
  if (call.context.user.name !== "admin") demand(call.context.user, "write", null, null, call.path);
  const given = call.datum(1);
  const summary = new Summary();
  for (const user of (Array.isArray(given) ? given : [given]) as DatumObject[]) {
    const { id, password } = user;
    const text = typeof password === "object" && password !== null ? (password as DatumObject)["password"] : password;
    const iterations = isObject(password ?? null) ? (password as { iterations?: number }).iterations : undefined;
    setUser(call.context.store, String(id), typeof text === "string" ? text : "", iterations);
    summary.count("inserted");
  }
  return summary.value;
}

/** An empty password is not worth many rounds: the real server takes one. */
export function setUser(store: Store, name: string, password: string, iterations = password === "" ? 1 : 4_096): void {
  const grants = store.users.get(name)?.grants ?? new Map();
  store.users.set(name, { name, password, salt: randomBytes(16), iterations, grants });
}
