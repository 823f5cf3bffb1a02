import type { ConnectionOptions } from "node:tls";
import { asBroken, ProtocolBroken } from "../../net/broken.ts";
import { reach, unanswered } from "../../net/reach.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Log } from "../../protocol/log.ts";
import { abortable } from "../../toolkit/abortable.ts";
import type { CqlConnection } from "./connection.ts";
import { type ControlRow, controlRows } from "./control-rows.ts";
import { TypeChanged } from "./decode-page.ts";
import { cqlError, type ErrorContext } from "./errors.ts";
import { opcodes } from "./frames.ts";
import {
  executeBody,
  type Page,
  prepareBody,
  type Prepared,
  queryBody,
  type QueryOptions,
  readBody,
  readPage,
  readPrepared,
} from "./messages.ts";
import { NodePool } from "./node-pool.ts";
import { allowedPageSize, asksForAnother, CqlServerError, isLevelRefused, serverErrors } from "./server-error.ts";
import { isScylla } from "./sharding.ts";
import { type Node, ownerOf, type Topology, topologyOf } from "./topology.ts";

/** How a cluster is reached. */
export interface ClusterOptions {
  readonly contactPoints: readonly string[];
  readonly port: number;
  /** The local data centre; `null`: the data centre of the contact point that answers first. */
  readonly dataCenter: string | null;
  readonly tls: ConnectionOptions | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly connectionsPerNode: number;
  readonly names: ErrorContext["names"];
  readonly keyspace: string;
  readonly consistency: string;
}

/** What a request is sent with, besides its message. */
export interface Routing {
  readonly signal: AbortSignal;
  /** The token of the requested rows: chooses the node and the shard. */
  readonly token?: bigint | null;
  readonly table?: string;
}

const controlRowsOfPage = 5_000;
/** The catalog of a cluster is small. */
const mostControlBytes = 128 << 20;

/** Nodes that can't be reached may have new addresses. The least time between two looks at the cluster, in milliseconds. */
const lookMilliseconds = 5_000;

/** A Cassandra or ScyllaDB cluster: its nodes, connections to them, and statements that they have prepared. */
export class Cluster implements AsyncDisposable {
  readonly options: ClusterOptions;
  readonly #log: Log;
  readonly #pools = new Map<string, NodePool>();
  readonly #prepared = new Map<string, Promise<Prepared>>();
  #topology: Promise<Topology> | null = null;
  /** The last topology, in case the contact points are gone. */
  #known: Topology | null = null;
  #lookedAt = 0;
  /** The look that is under way. */
  #looking: Promise<Topology> | null = null;
  /** Unreachable nodes that the user was warned of. */
  readonly #told = new Set<string>();
  /** The most rows of a page, as the server allows them. */
  #mostRows = Infinity;
  /** The first level is used; levels that the server refused were removed. */
  readonly #controlLevels: QueryOptions["consistency"][] = ["LOCAL_ONE", "ONE", "LOCAL_QUORUM", "QUORUM"];
  readonly #disposed = new AbortController();

  constructor(options: ClusterOptions, log: Log) {
    this.options = options;
    this.#log = log;
  }

  /** The cluster as it was when it was last looked at; connects the first time. */
  async topology(signal: AbortSignal): Promise<Topology> {
    return this.#topology === null ? this.refresh(signal) : abortable(this.#topology, signal);
  }

  /** Looks at the cluster again. */
  async refresh(signal: AbortSignal): Promise<Topology> {
    this.#lookedAt = performance.now();
    const looking = reach(this, () => this.#look()).finally(() => (this.#looking = null));
    this.#looking = looking;
    const before = this.#topology;
    // Concurrent callers keep the old topology.
    this.#topology = before ?? looking;
    looking.then(
      () => (this.#topology = looking),
      () => (this.#topology = before),
    );
    return abortable(looking, signal);
  }

  /** All rows of a small table of the server's own. */
  async rows(statement: string, values: readonly Buffer[], routing: Routing): Promise<readonly ControlRow[]> {
    return this.#onSomeNode(routing, async (connection) => this.#controlRows(connection, statement, values, routing));
  }

  /** Prepares a statement, once for all callers. */
  async prepare(statement: string, routing: Routing): Promise<Prepared> {
    const known = this.#prepared.get(statement);
    if (known !== undefined) return abortable(known, routing.signal);
    const { signal } = this.#disposed;
    const preparing = this.#onSomeNode({ ...routing, signal }, (connection) =>
      prepareOn(connection, statement, signal),
    );
    this.#prepared.set(statement, preparing);
    preparing.catch(() => this.#prepared.delete(statement));
    return abortable(preparing, routing.signal);
  }

  /** Has a statement prepared again at its next use, since its table has changed. */
  forget(statement: string): void {
    this.#prepared.delete(statement);
  }

  /** One page of a prepared statement's rows. Throws the server's own error, for callers that can handle it. */
  async page(statement: string, query: QueryOptions, routing: Routing): Promise<Page> {
    const prepared = await this.prepare(statement, routing);
    try {
      const ask = (query: QueryOptions): Promise<Page> =>
        this.#onSomeNode(routing, (connection) => executeOn(connection, statement, prepared, query, routing.signal));
      if (query.pageSize === undefined) return await ask(query);
      return await this.paged(query.pageSize, (pageSize) => ask({ ...query, pageSize }));
    } catch (thrown) {
      // By the next request, the table or column may be another one.
      const isInvalid = thrown instanceof CqlServerError && thrown.code === serverErrors.invalid;
      if (isInvalid || thrown instanceof TypeChanged) this.forget(statement);
      throw thrown;
    }
  }

  /** An error as users see it, if the tables of errors have it. */
  explain(thrown: unknown, table?: string, node?: Pick<Node, "host" | "port">): unknown {
    const { names, contactPoints, port, username, keyspace, tls, consistency } = this.options;
    const host = node?.host ?? contactPoints.join(", ");
    const at = { host, port: node?.port ?? port };
    return cqlError(thrown, { names, ...at, username, keyspace, tls: tls !== null, consistency, table });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new Error("the source was closed"));
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  /**
   * Runs something on the node that owns the token, or else on any node; if a node fails, on another one. If a node can't be
   * reached, the topology is read again, since nodes may have been replaced.
   */
  async #onSomeNode<Result>(routing: Routing, run: (connection: CqlConnection) => Promise<Result>): Promise<Result> {
    const { signal } = routing;
    const token = routing.token ?? null;
    const tried = new Set<NodePool>();
    let topology = await this.topology(signal);
    let failure: unknown = null;
    for (;;) {
      const untried = (): Node | undefined =>
        this.#inOrder(topology, token).find((candidate) => !tried.has(this.#pool(candidate)));
      let node = untried();
      if (node === undefined) {
        topology = await this.#lookAgain(topology, signal);
        node = untried();
      }
      if (node === undefined) throw failure;
      const pool = this.#pool(node);
      tried.add(pool);
      let connection: CqlConnection;
      try {
        connection = await reach(this, () =>
          abortable(pool.connection(token), signal).catch((thrown: unknown) => {
            throw this.explain(thrown, routing.table, node);
          }),
        );
      } catch (thrown) {
        signal.throwIfAborted();
        failure = thrown;
        this.#tell(node, failure);
        // For later callers.
        this.#lookAgain(topology, this.#disposed.signal).catch(() => {});
        continue;
      }
      try {
        return await run(connection);
      } catch (thrown) {
        if (!asksForAnother(thrown) || signal.aborted) throw thrown;
        failure = thrown;
      }
    }
  }

  /** The current topology, unless it was read a moment ago. If no node answers: the last known one. */
  async #lookAgain(before: Topology, signal: AbortSignal): Promise<Topology> {
    const isRecent = performance.now() - this.#lookedAt < lookMilliseconds;
    if (isRecent && this.#looking === null) return this.topology(signal);
    const looking = this.#looking === null ? this.refresh(signal) : abortable(this.#looking, signal);
    return looking.catch((thrown: unknown) => {
      signal.throwIfAborted();
      if (thrown instanceof HeadwatersError && thrown.remedy === "retry") return before;
      throw thrown;
    });
  }

  /** Warns once for each node. If no node can be reached, an error says so, without a warning. */
  #tell({ host, port }: Node, failure: unknown): void {
    const name = `${host}:${port}`;
    if (this.#told.has(name) || !(failure instanceof HeadwatersError)) return;
    this.#told.add(name);
    this.#log.warn(`node ${name} can't be reached, so other nodes are asked: ${failure.message}`);
  }

  #inOrder({ nodes, ring }: Topology, token: bigint | null): readonly Node[] {
    const owner = token === null ? null : ownerOf(ring, token);
    const from = Math.floor(Math.random() * nodes.length);
    const others = [...nodes.slice(from), ...nodes.slice(0, from)].filter((node) => node !== owner);
    const all = owner === null ? others : [owner, ...others];
    return [...all.filter((node) => !this.#pool(node).rests), ...all.filter((node) => this.#pool(node).rests)];
  }

  #pool({ host, port }: Pick<Node, "host" | "port">): NodePool {
    const key = `${host} ${port}`;
    const { tls, username, password, connectTimeout, requestTimeout, connectionsPerNode } = this.options;
    const how = { host, port, tls, username, password, connectTimeout, requestTimeout };
    const pool = this.#pools.get(key) ?? new NodePool(how, connectionsPerNode, this.#disposed.signal);
    this.#pools.set(key, pool);
    return pool;
  }

  /** Asks the contact points, one after the other, for the cluster's nodes. */
  async #look(): Promise<Topology> {
    const { contactPoints, port, dataCenter, names } = this.options;
    const routing = { signal: this.#disposed.signal };
    const failures: unknown[] = [];
    const contacts = [...contactPoints.map((host) => ({ host, port })), ...(this.#known?.nodes ?? [])];
    // Nodes that failed recently come last.
    const rests = (contact: Pick<Node, "host" | "port">): number => Number(this.#pool(contact).rests);
    for (const { host, port } of contacts.toSorted((a, b) => rests(a) - rests(b))) {
      try {
        const connection = await this.#pool({ host, port }).connection(null);
        const [local] = await this.#controlRows(connection, "SELECT * FROM system.local", [], routing);
        const how = { wanted: dataCenter, setting: names.dataCenter, scylla: isScylla(connection.supported) };
        this.#known = topologyOf(local!, await this.#peers(connection, routing), { host, port }, how);
        return this.#known;
      } catch (thrown) {
        routing.signal.throwIfAborted();
        failures.push(this.explain(thrown, undefined, { host, port }));
      }
    }
    // The error of a host that answered says more: the password or the data centre may be wrong.
    const answered = failures.find((failure) => !(failure instanceof HeadwatersError && unanswered.has(failure.code)));
    throw answered ?? failures[0];
  }

  /** Cassandra 4.0 and later have `peers_v2`, with ports. */
  async #peers(connection: CqlConnection, routing: Routing): Promise<readonly ControlRow[]> {
    try {
      return await this.#controlRows(connection, "SELECT * FROM system.peers_v2", [], routing);
    } catch (thrown) {
      if (!(thrown instanceof CqlServerError) || thrown.code !== serverErrors.invalid) throw thrown;
      return this.#controlRows(connection, "SELECT * FROM system.peers", [], routing);
    }
  }

  /** Asks for pages of at most `rows` rows. If the server refuses that size, this and later pages are shorter. */
  async paged<Result>(rows: number, ask: (rows: number) => Promise<Result>): Promise<Result> {
    for (;;) {
      const asked = Math.min(rows, this.#mostRows);
      try {
        return await ask(asked);
      } catch (thrown) {
        const allowed = allowedPageSize(thrown, asked);
        if (allowed === null) throw thrown;
        this.#mostRows = Math.min(this.#mostRows, allowed);
      }
    }
  }

  async #controlRows(
    connection: CqlConnection,
    statement: string,
    values: readonly Buffer[],
    { signal }: Routing,
  ): Promise<ControlRow[]> {
    const rows: ControlRow[] = [];
    let bytes = 0;
    let pageState: Buffer | null = null;
    for (;;) {
      const consistency = this.#controlLevels[0]!;
      let page: Page;
      try {
        page = await this.paged(controlRowsOfPage, async (pageSize) => {
          const query = { consistency, values, pageSize, pageState };
          const frame = await connection.request(opcodes.query, queryBody(statement, query), signal);
          return following(readBody(frame, readPage), pageState);
        });
      } catch (thrown) {
        if (!isLevelRefused(thrown) || this.#controlLevels.length === 1) throw thrown;
        if (this.#controlLevels[0] === consistency) this.#controlLevels.shift();
        continue;
      }
      bytes += page.body.length;
      if (bytes > mostControlBytes) throw new ProtocolBroken(`more than ${mostControlBytes >> 20} MiB of catalog rows`);
      for (const row of decoded(page)) rows.push(row);
      pageState = page.next;
      if (pageState === null) return rows;
    }
  }
}

/** A page that names itself as the next one would be read for ever. */
function following(page: Page, state: Buffer | null): Page {
  if (page.next !== null && state !== null && page.next.equals(state)) {
    throw new ProtocolBroken("a page after which the same page comes again");
  }
  return page;
}

function decoded(page: Page): ControlRow[] {
  try {
    return controlRows(page);
  } catch (thrown) {
    throw asBroken(thrown, "a row that can't be read");
  }
}

async function prepareOn(connection: CqlConnection, statement: string, signal: AbortSignal): Promise<Prepared> {
  const frame = await connection.request(opcodes.prepare, prepareBody(statement), signal);
  return readBody(frame, readPrepared);
}

/** If a node does not know the statement (any more), the statement is prepared there. */
async function executeOn(
  connection: CqlConnection,
  statement: string,
  prepared: Prepared,
  query: QueryOptions,
  signal: AbortSignal,
): Promise<Page> {
  const send = async (): Promise<Page> => {
    const frame = await connection.request(opcodes.execute, executeBody(prepared.id, query), signal);
    const page = following(readBody(frame, readPage), query.pageState ?? null);
    if (!page.columns.equals(prepared.columnBytes)) throw new TypeChanged("its columns or types changed");
    return page;
  };
  try {
    return await send();
  } catch (thrown) {
    if (!(thrown instanceof CqlServerError) || thrown.code !== serverErrors.unprepared) throw thrown;
    await prepareOn(connection, statement, signal);
    return send();
  }
}
