import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Certificate } from "../certificate.ts";
import { codes, Failure } from "./failure.ts";
import { type Behaviour, Session } from "./session.ts";
import { Store } from "./storage.ts";
import { setUser } from "./terms-write.ts";

export interface StandInOptions {
  /** TLS from the first byte. */
  readonly tls?: Certificate;
  /** Milliseconds that building an index takes. */
  readonly indexDelay?: number;
}

/** After a restart the port answers at once, reads fail for about this long: milliseconds. */
const unavailable = 600;

/**
 * A server that speaks RethinkDB's wire protocol and keeps its documents in memory: what no registry has. It answers
 * what the recording beside it answers (`replay.server.test.ts`), for the terms that Headwaters uses.
 */
export class StandIn implements AsyncDisposable {
  readonly behaviour: Behaviour;
  readonly #options: StandInOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;

  private constructor(options: StandInOptions) {
    this.#options = options;
    this.behaviour = {
      store: new Store(),
      indexDelay: options.indexDelay ?? 0,
      unavailableUntil: 0,
      frozen: false,
      delay: 0,
      bytesPerSecond: null,
      free: 0,
      breakAfter: null,
      encoded: null,
      onQuery: null,
    };
    const { store } = this.behaviour;
    setUser(store, "admin", "");
    const all = { config: true, connect: true, read: true, write: true };
    store.users.get("admin")!.grants.set("", all);
  }

  static async start(options: StandInOptions = {}): Promise<StandIn> {
    const server = new StandIn(options);
    await server.#listen();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** What any signal does to the real one: every connection ends without a word. Documents stay. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }

  /** On the same port; reads are not to be had at once. */
  async restart(): Promise<void> {
    await this.stop();
    this.behaviour.unavailableUntil = Date.now() + unavailable;
    await this.#listen();
  }

  /** What `rethinkdb.jobs` is used for: ends every feed. */
  killFeeds(): void {
    const killed = new Failure(18, codes.killed, "Query terminated by the `rethinkdb.jobs` table.", []);
    for (const { tables } of this.behaviour.store.databases.values())
      for (const table of tables.values()) table.breakFeeds(killed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #listen(): Promise<void> {
    const take = (socket: Socket): void => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      Session.serve(socket, this.behaviour);
    };
    const { tls } = this.#options;
    const server =
      tls === undefined ? createServer(take) : createTlsServer({ cert: tls.certificate, key: tls.key }, take);
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }
}
