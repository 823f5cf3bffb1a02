import { compare, compareText, type Datum, type DatumObject, time } from "./datum.ts";
import type { Context } from "./call.ts";
import type { Database, Table } from "./storage.ts";

export const systemTables: readonly string[] = [
  "cluster_config",
  "current_issues",
  "db_config",
  "jobs",
  "logs",
  "permissions",
  "server_config",
  "server_status",
  "stats",
  "table_config",
  "table_status",
  "users",
];

const serverName = "standin";

/** The rows of a table of the database `rethinkdb`. */
export function systemRows(name: string, { store }: Context): readonly Datum[] {
  const databases = [...store.databases.values()];
  const tables = databases
    .flatMap((database) => [...database.tables.values()].map((table) => ({ database, table })))
    .sort((a, b) => compareText(a.table.id, b.table.id));
  switch (name) {
    case "users":
      return [...store.users.values()]
        .sort((a, b) => compareText(a.name, b.name))
        .map((user) => ({ id: user.name, password: user.password !== "" }));
    case "db_config":
      return databases.map(({ id, name }) => ({ id, name }));
    case "table_config":
      return tables.map(({ database, table }) => tableConfig(database, table));
    case "table_status":
      return tables.map(({ database, table }) => tableStatus(database, table));
    case "permissions":
      return permissions(databases, [...store.users.values()]);
    case "server_status":
      return [{ id: store.serverId, name: serverName, process: { time_started: time(store.started) } }];
    default:
      return [];
  }
}

function permissions(databases: readonly Database[], users: readonly Context["user"][]): Datum[] {
  const names = new Map<string, readonly [string, string]>([["rethinkdb", ["database", "rethinkdb"]]]);
  for (const database of databases) {
    names.set(database.id, ["database", database.name]);
    for (const table of database.tables.values()) names.set(table.id, ["table", table.name]);
  }
  return users.flatMap((user) =>
    [...user.grants].map(([scope, granted]): Datum => {
      const place = names.get(scope);
      const id: Datum[] = scope === "" ? [user.name] : [user.name, scope];
      return {
        id,
        user: user.name,
        permissions: { ...granted },
        ...(place === undefined ? {} : { [place[0]]: place[1] }),
      };
    }),
  );
}

export function tableConfig(database: Database, table: Table): DatumObject {
  return {
    id: table.id,
    name: table.name,
    db: database.name,
    primary_key: table.primaryKey,
    indexes: indexNames(table),
    durability: "hard",
    write_acks: "majority",
    write_hook: null,
    shards: [{ primary_replica: serverName, replicas: [serverName], nonvoting_replicas: [] }],
  };
}

export function tableStatus(database: Database, table: Table): DatumObject {
  return {
    id: table.id,
    name: table.name,
    db: database.name,
    raft_leader: serverName,
    shards: [{ primary_replicas: [serverName], replicas: [{ server: serverName, state: "ready" }] }],
    status: {
      all_replicas_ready: true,
      ready_for_outdated_reads: true,
      ready_for_reads: true,
      ready_for_writes: true,
    },
  };
}

export function indexNames(table: Table): string[] {
  return [...table.indexes.keys()].sort(compare);
}
