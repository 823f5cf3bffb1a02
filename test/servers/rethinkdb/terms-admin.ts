import { setTimeout as wait } from "node:timers/promises";
import { termNumbers as T } from "../../../src/wire/reql/terms.ts";
import { demand } from "./access.ts";
import { type Datum, type DatumObject, isObject } from "./datum.ts";
import type { Call, TermRule } from "./call.ts";
import { aborted } from "./feeds.ts";
import { Failure, fail } from "./failure.ts";
import { type Database, type Index, makeDatabase, type Permissions, Table } from "./storage.ts";
import { indexNames, systemTables, tableConfig, tableStatus } from "./system-tables.ts";
import { readable } from "./terms-read.ts";
import { asText, datum, type FunctionValue, type TableValue, toDatum, type Value } from "./values.ts";

/** Terms about databases, tables, indexes and who may use them. */
export const adminTerms: Readonly<Record<number, TermRule>> = {
  [T.DB_LIST]: {
    takes: [0, 0],
    run: (call) => datum([...call.context.store.databases.keys(), "rethinkdb"].sort()),
  },
  [T.DB_CREATE]: { takes: [1, 1], run: createDatabase },
  [T.DB_DROP]: { takes: [1, 1], run: dropDatabase },
  [T.TABLE_LIST]: { takes: [0, 1], run: listTables },
  [T.TABLE_CREATE]: { takes: [1, 2], run: createTable },
  [T.TABLE_DROP]: { takes: [1, 2], run: dropTable },
  [T.INFO]: { takes: [1, 1], run: info },
  [T.CONFIG]: { takes: [1, 1], run: config },
  [T.RECONFIGURE]: { takes: [1, 1], run: (call) => rearranged(call, "reconfigured") },
  [T.REBALANCE]: { takes: [1, 1], run: (call) => rearranged(call, "rebalanced") },
  [T.STATUS]: { takes: [1, 1], run: status },
  [T.INDEX_CREATE]: { takes: [2, 3], run: createIndex },
  [T.INDEX_DROP]: { takes: [2, 2], run: dropIndex },
  [T.INDEX_LIST]: { takes: [1, 1], run: (call) => datum(indexNames(readable(call, 0).table)) },
  [T.INDEX_STATUS]: { takes: [1, Infinity], run: indexStatus },
  [T.INDEX_WAIT]: { takes: [1, Infinity], run: waitForIndexes },
  [T.GRANT]: { takes: [2, 3], run: grant },
};

function asDatabase(call: Call): Database {
  const value = call.value(0);
  if (value.kind !== "database") throw fail("logic", "Expected type DB.", call.pathOf(0));
  return value.database;
}

function createDatabase(call: Call): Value {
  const name = asText(call.datum(0), call.pathOf(0));
  const { store } = call.context;
  demand(call.context.user, "config", null, null, call.path);
  if (store.databases.has(name)) throw fail("failed", `Database \`${name}\` already exists.`, call.path);
  store.databases.set(name, makeDatabase(name));
  return datum({ dbs_created: 1 });
}

function dropDatabase(call: Call): Value {
  const name = asText(call.datum(0), call.pathOf(0));
  const database = call.context.store.databases.get(name);
  if (database === undefined) throw fail("failed", `Database \`${name}\` does not exist.`, call.path);
  demand(call.context.user, "config", database, null, call.path);
  call.context.store.databases.delete(name);
  for (const table of database.tables.values()) table.breakFeeds(aborted());
  return datum({ dbs_dropped: 1, tables_dropped: database.tables.size });
}

function listTables(call: Call): Value {
  const { name, tables } = asDatabase(call);
  return datum(name === "rethinkdb" ? systemTables : [...tables.keys()].sort());
}

function createTable(call: Call): Value {
  const database = asDatabase(call);
  const name = asText(call.datum(1), call.pathOf(1));
  demand(call.context.user, "config", database, null, call.path);
  if (database.tables.has(name)) throw fail("failed", `Table \`${database.name}.${name}\` already exists.`, call.path);
  const key = call.option("primary_key");
  database.tables.set(name, new Table(name, typeof key === "string" ? key : "id"));
  return datum({ tables_created: 1 });
}

function dropTable(call: Call): Value {
  const database = asDatabase(call);
  const name = asText(call.datum(1), call.pathOf(1));
  const table = database.tables.get(name);
  if (table === undefined) throw fail("failed", `Table \`${database.name}.${name}\` does not exist.`, call.path);
  demand(call.context.user, "config", database, table, call.path);
  database.tables.delete(name);
  // Readers that hold it notice.
  table.dropped = true;
  table.breakFeeds(aborted());
  return datum({ tables_dropped: 1 });
}

function info(call: Call): Value {
  const value = call.value(0);
  if (value.kind === "database") {
    const { id, name } = value.database;
    return datum({ id, name, type: "DB" });
  }
  const { database, table } = readable(call, 0);
  return datum({
    id: table.id,
    name: table.name,
    type: "TABLE",
    primary_key: table.primaryKey,
    indexes: indexNames(table),
    db: { id: database.id, name: database.name, type: "DB" },
    // The real one estimates from the size of its trees, and is off by as much.
    doc_count_estimates: [table.size < 16 ? table.size * 2 : Math.round(table.size * 0.95)],
  });
}

function config(call: Call): Value {
  const value = call.value(0);
  if (value.kind === "database") {
    demand(call.context.user, "config", value.database, null, call.path);
    return datum({ id: value.database.id, name: value.database.name });
  }
  const { database, table } = asTable(call);
  demand(call.context.user, "config", database, table, call.path);
  return datum(tableConfig(database, table));
}

function asTable(call: Call): TableValue {
  const value = call.value(0);
  if (value.kind !== "table") throw fail("logic", "Expected type TABLE.", call.pathOf(0));
  return value;
}

function status(call: Call): Value {
  const { database, table } = readable(call, 0);
  return datum(tableStatus(database, table));
}

function rearranged(call: Call, how: "reconfigured" | "rebalanced"): Value {
  const { database, table } = asTable(call);
  demand(call.context.user, "config", database, table, call.path);
  table.breakFeeds(aborted());
  return datum({ [how]: 1 });
}

function createIndex(call: Call): Value {
  const { database, table } = asTable(call);
  const name = asText(call.datum(1), call.pathOf(1));
  demand(call.context.user, "config", database, table, call.path);
  if (table.indexes.has(name)) {
    throw fail("failed", `Index \`${name}\` already exists on table \`${database.name}.${table.name}\`.`, call.path);
  }
  const fn = call.count > 2 ? (call.value(2) as FunctionValue) : null;
  const [multi, geo] = [call.option("multi") === true, call.option("geo") === true];
  const field = fn === null ? name : plainField(call.raw(2));
  const body = fn === null ? `_var19.getField("${name}")` : field === null ? "…" : `var1("${field}")`;
  const parameter = fn === null ? "_var19" : "var1";
  const index: Index = {
    name,
    multi,
    geo,
    query: `indexCreate('${name}', function(${parameter}) { return ${body}; }${multi ? ", {multi: true}" : ""}${geo ? ", {geo: true}" : ""})`,
    valueOf: (document) => valueIn(document, field, fn, call),
    ready: call.context.indexDelay === 0,
  };
  table.indexes.set(name, index);
  if (!index.ready) setTimeout(() => (index.ready = true), call.context.indexDelay);
  return datum({ created: 1 });
}

/** The field that `function (row) { return row("field") }` reads; `null`: it is another function. */
function plainField(fn: unknown): string | null {
  const body = ((fn as [number, unknown[]])[1] ?? [])[1];
  const [number, args] = Array.isArray(body) ? (body as [number, unknown[]]) : [0, []];
  const reads = number === T.BRACKET || number === T.GET_FIELD;
  const [row, field] = args;
  return reads && Array.isArray(row) && row[0] === T.VAR && typeof field === "string" ? field : null;
}

function valueIn(document: DatumObject, field: string | null, fn: FunctionValue | null, call: Call): Datum | undefined {
  if (field !== null) return document[field];
  try {
    return toDatum(fn!.call([document]), call.path);
  } catch (thrown) {
    if (thrown instanceof Failure) return undefined;
    throw thrown;
  }
}

function dropIndex(call: Call): Value {
  const { database, table } = asTable(call);
  const name = asText(call.datum(1), call.pathOf(1));
  demand(call.context.user, "config", database, table, call.path);
  if (!table.indexes.delete(name)) {
    throw fail("failed", `Index \`${name}\` does not exist on table \`${database.name}.${table.name}\`.`, call.path);
  }
  return datum({ dropped: 1 });
}

function statuses(table: Table, names: readonly Datum[]): Datum[] {
  const wanted = names.length === 0 ? indexNames(table) : (names as readonly string[]);
  return wanted.map((name): Datum => {
    const { multi, geo, query, ready } = table.indexes.get(name)!;
    const fn = { $reql_type$: "BINARY", data: Buffer.from(query).toString("base64") };
    return { function: fn, geo, index: name, multi, outdated: false, query, ready, ...(ready ? {} : { progress: 0 }) };
  });
}

function indexStatus(call: Call): Value {
  return datum(statuses(readable(call, 0).table, call.data(1)));
}

function waitForIndexes(call: Call): Value {
  const { table } = readable(call, 0);
  const names = call.data(1);
  const ready = async (): Promise<Datum> => {
    while ([...table.indexes.values()].some((index) => !index.ready)) await wait(5);
    return statuses(table, names);
  };
  return { kind: "later", promise: ready() };
}

/** Of everything, a database or a table: `[user, permissions]` or `[scope, user, permissions]`. */
function grant(call: Call): Value {
  demand(call.context.user, "config", null, null, call.path);
  const scope = call.count === 3 ? call.value(0) : null;
  const [name, given] = call.data(call.count - 2);
  const user = call.context.store.users.get(asText(name!, call.path));
  if (user === undefined) throw fail("failed", `User \`${String(name)}\` not found.`, call.path);
  const id =
    scope === null ? "" : scope.kind === "table" ? scope.table.id : (scope as { database: Database }).database.id;
  const before = user.grants.get(id) ?? {};
  const kept = Object.entries({ ...before, ...(isObject(given!) ? given : {}) }).filter(([, value]) => value !== null);
  user.grants.set(id, Object.fromEntries(kept) as Permissions);
  return datum({ granted: 1 });
}
