import { HeadwatersError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Operation } from "../../protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../protocol/pass.ts";
import type { Rows } from "../../protocol/rows.ts";
import type { CheckResult, Reading, Source, SourceContext } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { tableOfSplit } from "../../toolkit/passes.ts";
import { warnOnce } from "../../toolkit/warn-once.ts";
import type { RespConnection, RespSettings } from "../../wire/resp/connection.ts";
import { checkSource } from "./check.ts";
import type { Configuration } from "./config.ts";
import { discoverTables } from "./discover.ts";
import { kindOf } from "./kinds.ts";
import { lookupRows } from "./lookup.ts";
import { Pool } from "./pool.ts";
import { readSplit } from "./read.ts";
import type { ReadContext } from "./read-context.ts";
import { type Identity, sameServer, type ServerInfo, serverInfo } from "./server.ts";
import { splitsOf, windowStart } from "./splits.ts";

/** A server of the Redis protocol: Dragonfly, Valkey, Redis. */
export class RedisSource implements Source {
  readonly #pool: Pool;
  readonly #configuration: Configuration;
  readonly #context: SourceContext;
  readonly #warnOnce: (message: string) => void;
  readonly #behind = new WeakMap<RespConnection, Identity>();

  constructor(settings: RespSettings, configuration: Configuration, context: SourceContext) {
    this.#pool = new Pool(settings, context.log);
    this.#configuration = configuration;
    this.#context = context;
    this.#warnOnce = warnOnce(context.log);
  }

  check(signal: AbortSignal): AsyncIterable<CheckResult> {
    return checkSource(this.#pool, this.#configuration, signal);
  }

  async discover(signal: AbortSignal): Promise<readonly Table[]> {
    return discoverTables(this.#reading(signal), this.#context, await this.#server(signal));
  }

  async plan(
    tables: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    const server = await this.#server(signal);
    const next = windowStart(server.now, this.#configuration);
    return {
      splits: tables.flatMap((table) => {
        const of = kindOf(table.id, this.#configuration, this.#context);
        return splitsOf(table, kind, previous[table.id] ?? null, this.#configuration, of);
      }),
      next: Object.fromEntries(tables.map((table) => [table.id, table.cursor === null ? null : next])),
      asOf: new Date(server.now).toISOString(),
      snapshot: { server: server.identity },
    };
  }

  async resume(pass: Pass, signal: AbortSignal): Promise<Pass | null> {
    return this.#isPlannedOn(pass, (await this.#server(signal)).identity) ? pass : null;
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation> {
    const table = tableOfSplit(pass, split);
    const server = await this.#server(how.signal);
    if (!this.#isPlannedOn(pass, server.identity)) {
      throw startsOver();
    }
    const of = kindOf(table.id, this.#configuration, this.#context);
    try {
      // Behind one address there may be several servers: each connection says which one it leads to.
      const pool = this.#pool.vetted(async (connection) => {
        if (!this.#isPlannedOn(pass, await this.#serverBehind(connection))) throw startsOver();
      });
      yield* readSplit(
        { ...this.#reading(how.signal), pool },
        { kind: pass.kind, table, of, split },
        state,
        server.now,
        how,
      );
    } catch (thrown) {
      throw this.#pool.error(thrown, how.signal);
    }
    // A connection that the signal ended must not look like the end of the keys.
    how.signal.throwIfAborted();
  }

  async *lookup(table: Table, keys: Rows, how: Reading): AsyncGenerator<Rows> {
    const kind = kindOf(table.id, this.#configuration, this.#context);
    try {
      yield* lookupRows(this.#reading(how.signal), table, kind, keys, how);
    } catch (thrown) {
      throw this.#pool.error(thrown, how.signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #server(signal: AbortSignal): Promise<ServerInfo> {
    return this.#pool.with(signal, (connection) => serverInfo(connection, this.#configuration.database));
  }

  /** A connection leads to the same server as long as it lasts. */
  async #serverBehind(connection: RespConnection): Promise<Identity> {
    const known = this.#behind.get(connection) ?? (await serverInfo(connection, this.#configuration.database)).identity;
    this.#behind.set(connection, known);
    return known;
  }

  /** A SCAN's cursor is valid only in the process that gave it. */
  #isPlannedOn(pass: Pass, identity: Identity): boolean {
    const planned = (pass.snapshot as { readonly server?: Json } | null)?.server ?? null;
    return sameServer(planned, identity);
  }

  #reading(signal: AbortSignal): ReadContext {
    return {
      pool: this.#pool,
      log: this.#context.log,
      configuration: this.#configuration,
      signal,
      warnOnce: this.#warnOnce,
    };
  }
}

function startsOver(): HeadwatersError {
  return new HeadwatersError(
    "TABLE_CHANGED",
    "the server was restarted, or another one answers at its address: the SCAN starts over",
  );
}
