import { type ConnectOptions, CqlConnection } from "./connection.ts";
import { localPortFor, type Sharding, shardingOf, shardOf } from "./sharding.ts";

/** A node that could not be reached is not tried for this long, in milliseconds, while there are others. */
const restMilliseconds = 10_000;
/** Each further failure doubles that pause, up to this. */
const mostRestMilliseconds = 300_000;
/** The most connections to a node with shards. If it has more shards, each connection's shard passes requests on. */
const mostSlots = 16;
/** Attempts at the shard-aware port: another program may use our local port. */
const shardTries = 3;

/** The connections to one node: a few, or one for each shard if the node reports its shards. */
export class NodePool {
  readonly #options: ConnectOptions;
  readonly #most: number;
  readonly #signal: AbortSignal;
  readonly #slots = new Map<number, Promise<CqlConnection>>();
  #sharding: Sharding | null = null;
  /** Cleared if the shard-aware port does not answer because of a firewall or NAT. */
  #shardPortServes = true;
  #restsUntil = 0;
  #nextRest = restMilliseconds;

  /** `signal` ends connecting; connections are closed by {@link close}. */
  constructor(options: ConnectOptions, most: number, signal: AbortSignal) {
    this.#options = options;
    this.#most = most;
    this.#signal = signal;
  }

  /** Whether it failed recently. */
  get rests(): boolean {
    return performance.now() < this.#restsUntil;
  }

  /** Connects if necessary. `token` chooses the shard. */
  async connection(token: bigint | null): Promise<CqlConnection> {
    const sharding = this.#sharding;
    const slots = sharding === null ? this.#most : Math.min(sharding.shards, mostSlots);
    const random = Math.floor(Math.random() * slots);
    const slot = sharding !== null && token !== null ? shardOf(token, sharding) % slots : random;
    const known = this.#slots.get(slot);
    if (known !== undefined) {
      const connection = await known;
      if (connection.isOpen) return connection;
      if (this.#slots.get(slot) === known) this.#slots.delete(slot);
      return this.connection(token);
    }
    const opening = this.#open(slot);
    this.#slots.set(slot, opening);
    try {
      const connection = await opening;
      this.#settle(slot, opening, shardingOf(connection.supported, this.#options.tls !== null));
      this.#restsUntil = 0;
      this.#nextRest = restMilliseconds;
      return connection;
    } catch (thrown) {
      if (this.#slots.get(slot) === opening) this.#slots.delete(slot);
      // Connections that are tried at the same time fail for the same reason.
      if (!this.rests) {
        this.#restsUntil = performance.now() + this.#nextRest;
        this.#nextRest = Math.min(mostRestMilliseconds, 2 * this.#nextRest);
      }
      throw thrown;
    }
  }

  /**
   * The first connections, and those by the plain port, get a shard that the server chooses. They go into that shard's slot.
   */
  #settle(slot: number, opening: Promise<CqlConnection>, sharding: Sharding | null): void {
    this.#sharding ??= sharding;
    if (sharding === null || this.#slots.get(slot) !== opening) return;
    const own = sharding.shard % Math.min(sharding.shards, mostSlots);
    if (this.#slots.has(own)) return;
    this.#slots.delete(slot);
    this.#slots.set(own, opening);
  }

  async #open(slot: number): Promise<CqlConnection> {
    const sharding = this.#sharding;
    for (let tries = 0; tries < shardTries; tries++) {
      if (sharding === null || sharding.port === null || !this.#shardPortServes) break;
      try {
        const localPort = localPortFor(slot, sharding.shards);
        return await CqlConnection.open({ ...this.#options, port: sharding.port, localPort }, this.#signal);
      } catch (thrown) {
        this.#signal.throwIfAborted();
        this.#shardPortServes = isPortTaken(thrown);
      }
    }
    return CqlConnection.open(this.#options, this.#signal);
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#slots.values());
    for (const result of opened) if (result.status === "fulfilled") result.value.close();
    this.#slots.clear();
  }
}

/** Whether our local port was not available. */
function isPortTaken(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && ["EADDRINUSE", "EADDRNOTAVAIL"].includes(String(thrown.code));
}
