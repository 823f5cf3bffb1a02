import { randomBytes } from "node:crypto";
import cassandra from "cassandra-driver";
import { type CassandraServer, startCassandra } from "../cassandra.ts";
import { type ScyllaFront, startScyllaFront } from "./front.ts";
import { uuidAt } from "./uuid.ts";

/** A base table of the stand-in. */
export interface BaseTable {
  readonly name: string;
  readonly partition: readonly string[];
  readonly clustering: readonly string[];
  readonly statics: readonly string[];
  /** By the name of the column; multi-cell collections too. */
  readonly types: Readonly<Record<string, string>>;
}

interface StandInOptions {
  readonly tablets?: boolean;
  /** Absent: the one that all test files share. */
  readonly server?: CassandraServer;
}

type Values = Readonly<Record<string, unknown>>;

/** How a write is made, as by `USING`. */
export interface Using {
  /** Milliseconds before now; a client sets the time of the write. */
  readonly late?: number;
  readonly ttl?: number;
}

/** Keyspaces that stand in for those of the system. */
type Names = Readonly<Record<"schema" | "system" | "distributed", string>>;

const logSuffix = "_scylla_cdc_log";
/** Of a row of the log. */
const dayTtl = 86_400;

/**
 * A Cassandra that stands in for a ScyllaDB with CDC: it has tables of the same shape, and this writes into a table and its log
 * what ScyllaDB writes on each statement.
 */
export class ScyllaStandIn implements AsyncDisposable {
  readonly server: CassandraServer;
  readonly front: ScyllaFront;
  readonly tablets: boolean;
  readonly #names: Names;
  /** The newest last. */
  readonly #generations: { readonly at: number; readonly streams: readonly Buffer[] }[] = [];
  readonly #tables = new Map<string, BaseTable>();
  readonly #logged = new Set<string>();
  #written = 0;

  private constructor(server: CassandraServer, front: ScyllaFront, names: Names, tablets: boolean) {
    this.server = server;
    this.front = front;
    this.#names = names;
    this.tablets = tablets;
  }

  /** `tablets`: each table has streams of its own. */
  static async start({ tablets = false, server: given }: StandInOptions = {}): Promise<ScyllaStandIn> {
    const server = given ?? (await startCassandra());
    const named = (length: number): string => `x${randomBytes(length).toString("hex")}`.slice(0, length);
    const names = {
      schema: named("system_schema".length),
      system: named("system".length),
      distributed: named("system_distributed".length),
    };
    for (const name of Object.values(names)) {
      await server.run(
        `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND durable_writes = false`,
      );
    }
    await server.run(
      `CREATE TABLE ${names.schema}.scylla_tables (keyspace_name text, table_name text, cdc frozen<map<text, text>>, PRIMARY KEY (keyspace_name, table_name))`,
    );
    await server.run(
      `CREATE TABLE ${names.distributed}.cdc_generation_timestamps (key text, time timestamp, expired timestamp, PRIMARY KEY (key, time)) WITH CLUSTERING ORDER BY (time DESC)`,
    );
    await server.run(
      `CREATE TABLE ${names.distributed}.cdc_streams_descriptions_v2 (time timestamp, range_end bigint, streams frozen<set<blob>>, PRIMARY KEY (time, range_end))`,
    );
    await server.run(
      `CREATE TABLE ${names.system}.cdc_timestamps (keyspace_name text, table_name text, timestamp timestamp, PRIMARY KEY ((keyspace_name, table_name), timestamp)) WITH CLUSTERING ORDER BY (timestamp DESC)`,
    );
    await server.run(
      `CREATE TABLE ${names.system}.cdc_streams (keyspace_name text, table_name text, timestamp timestamp, stream_state tinyint, stream_id blob, PRIMARY KEY ((keyspace_name, table_name), timestamp, stream_state, stream_id))`,
    );
    const front = await startScyllaFront(
      server,
      new Map([
        ["system_schema.scylla_tables", `${names.schema}.scylla_tables`],
        ["system_distributed.cdc_", `${names.distributed}.cdc_`],
        ["system.cdc_", `${names.system}.cdc_`],
      ]),
    );
    const standIn = new ScyllaStandIn(server, front, names, tablets);
    await standIn.newGeneration(Date.now() - 7 * 86_400_000);
    return standIn;
  }

  /** The settings of a source that reads it, in which nothing takes long. */
  settings(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    const { host, username, password, keyspace } = this.server;
    return {
      ...{ host_1: host, port: this.front.port, keyspace, changes: "stream" },
      ...{ stream_window: 1, stream_delay: 1, stream_overlap: 20 },
      ...(username === null ? {} : { username, password }),
      ...more,
    };
  }

  /** From `at` on, entries are written to other streams. */
  async newGeneration(at: number): Promise<void> {
    const streams = Array.from({ length: 12 }, () => randomBytes(16));
    this.#generations.push({ at, streams });
    if (this.tablets) {
      for (const name of this.#tables.keys()) await this.#announceTablets(name);
      return;
    }
    for (let from = 0; from < streams.length; from += 3) {
      await this.server.run(
        `INSERT INTO ${this.#names.distributed}.cdc_streams_descriptions_v2 (time, range_end, streams) VALUES (?, ?, ?)`,
        [new Date(at), from, streams.slice(from, from + 3)],
      );
    }
    await this.server.run(
      `INSERT INTO ${this.#names.distributed}.cdc_generation_timestamps (key, time) VALUES ('timestamps', ?)`,
      [new Date(at)],
    );
  }

  async #announceTablets(table: string): Promise<void> {
    const { keyspace } = this.server;
    for (const [index, { at, streams }] of this.#generations.entries()) {
      const closed = index === 0 ? [] : this.#generations[index - 1]!.streams;
      const states: readonly (readonly [number, Buffer])[] = [
        ...streams.map((stream) => [0, stream] as const),
        ...closed.map((stream) => [1, stream] as const),
        ...streams.map((stream) => [2, stream] as const),
      ];
      for (const [state, stream] of states) {
        await this.server.run(
          `INSERT INTO ${this.#names.system}.cdc_streams (keyspace_name, table_name, timestamp, stream_state, stream_id) VALUES (?, ?, ?, ?, ?)`,
          [keyspace, table, new Date(at), state, stream],
        );
      }
      await this.server.run(
        `INSERT INTO ${this.#names.system}.cdc_timestamps (keyspace_name, table_name, timestamp) VALUES (?, ?, ?)`,
        [keyspace, table, new Date(at)],
      );
    }
  }

  async create(table: BaseTable, log = true): Promise<void> {
    const { name, partition, clustering, statics, types } = table;
    const columns = Object.entries(types).map(
      ([column, type]) => `${column} ${type}${statics.includes(column) ? " static" : ""}`,
    );
    const key = `(${partition.join(", ")})${clustering.map((column) => `, ${column}`).join("")}`;
    await this.server.run(`CREATE TABLE ${name} (${columns.join(", ")}, PRIMARY KEY (${key}))`);
    this.#tables.set(name, table);
    if (log) await this.enable(name);
  }

  /** `ALTER TABLE … WITH cdc = {'enabled': …}`. */
  async enable(name: string, options: Readonly<Record<string, string>> = {}): Promise<void> {
    const { partition, clustering, types } = this.#tables.get(name)!;
    const key = new Set([...partition, ...clustering]);
    const columns = Object.entries(types).flatMap(([column, type]) => {
      if (key.has(column)) return [`${column} ${type}`];
      const collection = /^(set|list|map)</.test(type);
      const deleted = `"cdc$deleted_${column}" boolean`;
      if (!collection) return [`${column} ${type}`, deleted];
      return [`${column} frozen<${type}>`, deleted, `"cdc$deleted_elements_${column}" frozen<set<text>>`];
    });
    await this.server.run(
      `CREATE TABLE IF NOT EXISTS ${name}${logSuffix} ("cdc$stream_id" blob, "cdc$time" timeuuid, "cdc$batch_seq_no" int,
        "cdc$operation" tinyint, "cdc$ttl" bigint, "cdc$end_of_batch" boolean, ${columns.join(", ")},
        PRIMARY KEY ("cdc$stream_id", "cdc$time", "cdc$batch_seq_no"))`,
    );
    await this.server.run(
      `INSERT INTO ${this.#names.schema}.scylla_tables (keyspace_name, table_name, cdc) VALUES (?, ?, ?)`,
      [
        this.server.keyspace,
        name,
        { enabled: "true", preimage: "false", postimage: "false", delta: "full", ttl: String(dayTtl), ...options },
      ],
    );
    if (options["enabled"] === "false") this.#logged.delete(name);
    else this.#logged.add(name);
    if (this.tablets) await this.#announceTablets(name);
  }

  /** `INSERT`. Static columns make an entry of their own; `null` values one of their own too, where there is a time to live. */
  async insert(name: string, values: Values, using: Using = {}): Promise<void> {
    const { partition, clustering, statics } = this.#tables.get(name)!;
    const given = Object.keys(values);
    const at = this.#moment(using);
    await this.#base(
      `INSERT INTO ${name} (${given.join(", ")}) VALUES (${given.map(() => "?").join(", ")}) USING TIMESTAMP ? AND TTL ?`,
      [...Object.values(values), long(at), using.ttl ?? 0],
    );
    const key = pick(values, partition);
    const rows = given.some((column) => clustering.includes(column));
    const ofStatics = pick(values, statics);
    await this.#log(name, at, [
      ...(Object.keys(ofStatics).length > 0 ? [entry(1, { ...key, ...ofStatics }, using)] : []),
      ...(clustering.length === 0 || rows
        ? [
            entry(
              2,
              pick(
                values,
                given.filter((column) => !statics.includes(column)),
              ),
              using,
            ),
          ]
        : []),
    ]);
  }

  /** `UPDATE … SET` these assignments, as CQL: `{ "tags = tags + ?": [["a"]] }`. */
  async update(
    name: string,
    key: Values,
    assignments: Readonly<Record<string, unknown>>,
    using: Using = {},
  ): Promise<void> {
    const at = this.#moment(using);
    const where = Object.keys(key).map((column) => `${column} = ?`);
    await this.#base(
      `UPDATE ${name} USING TIMESTAMP ? AND TTL ? SET ${Object.keys(assignments).join(", ")} WHERE ${where.join(" AND ")}`,
      [long(at), using.ttl ?? 0, ...Object.values(assignments), ...Object.values(key)],
    );
    await this.#log(name, at, [entry(1, key, using)]);
  }

  async deleteRow(name: string, key: Values, using: Using = {}): Promise<void> {
    const { clustering } = this.#tables.get(name)!;
    await this.#delete(name, key, using, [entry(clustering.length === 0 ? 4 : 3, key)]);
  }

  async deletePartition(name: string, key: Values, using: Using = {}): Promise<void> {
    await this.#delete(name, key, using, [entry(4, key)]);
  }

  /** `DELETE s FROM t WHERE p = ?`, of static columns, or of a row's. */
  async deleteColumn(name: string, column: string, key: Values, using: Using = {}): Promise<void> {
    const at = this.#moment(using);
    const where = Object.keys(key).map((one) => `${one} = ?`);
    const statement = `DELETE ${column} FROM ${name} USING TIMESTAMP ? WHERE ${where.join(" AND ")}`;
    await this.#base(statement, [long(at), ...Object.values(key)]);
    await this.#log(name, at, [entry(1, { ...key, [`"cdc$deleted_${column}"`]: true })]);
  }

  /** `DELETE FROM t WHERE partition AND prefix AND column > ? AND column < ?`; a bound that is absent has an entry without it. */
  async deleteRange(
    name: string,
    equal: Values,
    column: string,
    { from, to }: { readonly from?: readonly [">" | ">=", unknown]; readonly to?: readonly ["<" | "<=", unknown] },
    using: Using = {},
  ): Promise<void> {
    const at = this.#moment(using);
    const bounds = [from, to].filter((bound) => bound !== undefined);
    const where = [
      ...Object.keys(equal).map((one) => `${one} = ?`),
      ...bounds.map(([operator]) => `${column} ${operator} ?`),
    ];
    await this.#base(`DELETE FROM ${name} USING TIMESTAMP ? WHERE ${where.join(" AND ")}`, [
      long(at),
      ...Object.values(equal),
      ...bounds.map(([, value]) => value),
    ]);
    await this.#log(name, at, [
      entry(from?.[0] === ">" ? 6 : 5, { ...equal, ...(from === undefined ? {} : { [column]: from[1] }) }),
      entry(to?.[0] === "<" ? 8 : 7, { ...equal, ...(to === undefined ? {} : { [column]: to[1] }) }),
    ]);
  }

  /** An entry that a table with pre-images or post-images has besides. */
  async image(name: string, operation: 0 | 9, key: Values): Promise<void> {
    await this.#log(name, this.#moment({}), [entry(operation, key)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.front[Symbol.asyncDispose]();
    for (const name of Object.values(this.#names)) await this.server.run(`DROP KEYSPACE IF EXISTS ${name}`);
    await this.server[Symbol.asyncDispose]();
  }

  async #delete(name: string, key: Values, using: Using, entries: readonly LogEntry[]): Promise<void> {
    const at = this.#moment(using);
    const where = Object.keys(key).map((column) => `${column} = ?`);
    const statement = `DELETE FROM ${name} USING TIMESTAMP ? WHERE ${where.join(" AND ")}`;
    await this.#base(statement, [long(at), ...Object.values(key)]);
    await this.#log(name, at, entries);
  }

  /** The time of a write, in microseconds: no two of ours share one, unless they are dated back. */
  #moment({ late }: Using): bigint {
    if (late !== undefined) return BigInt(Date.now() - late) * 1_000n;
    this.#written = Math.max(this.#written + 1, Date.now() * 1_000);
    return BigInt(this.#written);
  }

  async #base(statement: string, values: readonly unknown[]): Promise<void> {
    await this.server.run(statement, values);
  }

  async #log(name: string, at: bigint, entries: readonly LogEntry[]): Promise<void> {
    if (!this.#logged.has(name)) return;
    const table = this.#tables.get(name)!;
    const generation = this.#generations.findLast((one) => one.at <= Number(at / 1_000n))!;
    const time = uuidAt(at);
    for (const [place, { operation, values, ttl }] of entries.entries()) {
      const partition = JSON.stringify(pick(values, table.partition));
      const stream = generation.streams[hash(partition) % generation.streams.length]!;
      const columns = Object.keys(values);
      await this.server.run(
        `INSERT INTO ${name}${logSuffix} ("cdc$stream_id", "cdc$time", "cdc$batch_seq_no", "cdc$operation", "cdc$ttl"${columns.map((column) => `, ${column}`).join("")})
          VALUES (?, ?, ?, ?, ?${columns.map(() => ", ?").join("")}) USING TTL ${dayTtl} AND TIMESTAMP ?`,
        [stream, time, place, operation, ttl ?? null, ...Object.values(values), long(at)],
      );
    }
  }
}

interface LogEntry {
  readonly operation: number;
  readonly values: Values;
  readonly ttl: number | undefined;
}

function entry(operation: number, values: Values, { ttl }: Using = {}): LogEntry {
  return { operation, values, ttl };
}

function long(value: bigint): cassandra.types.Long {
  return cassandra.types.Long.fromString(String(value));
}

function pick(values: Values, columns: readonly string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => columns.includes(name)));
}

function hash(text: string): number {
  let sum = 0;
  for (const character of text) sum = (Math.imul(sum, 31) + character.codePointAt(0)!) >>> 0;
  return sum;
}
