import { ProtocolBroken } from "../../net/broken.ts";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "./connection.ts";
import { escapeIdentifier, escapeLiteral } from "./literals.ts";
import { headBytes } from "./messages.ts";

/** The server's messages while a slot is read. Clocks are in milliseconds since 1970. */
export type WalMessage =
  | { readonly kind: "data"; readonly payload: Buffer; readonly clock: number }
  /** All commits that begin before `end` were sent. `asks`: the server requests an answer at once. */
  | { readonly kind: "alive"; readonly end: bigint; readonly clock: number; readonly asks: boolean };

/** 2000-01-01, from which the server counts microseconds, in milliseconds since 1970. */
const epoch = 946_684_800_000;
/** The kind of a message, two positions, and the clock. */
const dataHead = 25;
const aliveBytes = 18;
/** A status is sent at least this often, in milliseconds; more often where the server asks for it sooner. */
const statusEach = 10_000;
/** A server that asks this often within this many milliseconds is shutting down: it waits until all its log is confirmed. */
const shuttingDown = { asks: 8, within: 400 };
/** The time that the server has to end the stream after a request, in milliseconds. */
const endTimeout = 1_500;

const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);

export function millisecondsOf(microseconds: bigint): number {
  return epoch + Number(microseconds / 1_000n);
}

/** `chunk`: whole CopyData messages with their heads. Throws {@link ProtocolBroken}. */
export function* decodeWal(chunk: Buffer): Generator<WalMessage, void> {
  for (let at = 0; at < chunk.length;) {
    const end = at + 1 + chunk.readUInt32BE(at + 1);
    const body = chunk.subarray(at + headBytes, end);
    at = end;
    const kind = String.fromCharCode(body[0] ?? 0);
    if (kind === "w" && body.length > dataHead) {
      yield { kind: "data", payload: body.subarray(dataHead), clock: millisecondsOf(body.readBigInt64BE(17)) };
    } else if (kind === "k" && body.length === aliveBytes) {
      const clock = millisecondsOf(body.readBigInt64BE(9));
      yield { kind: "alive", end: body.readBigUInt64BE(1), clock, asks: body[17] === 1 };
    } else {
      throw new ProtocolBroken(`a replication message of kind "${kind}" and ${body.length} bytes`);
    }
  }
}

/** The positions of this side: `received` has arrived, `flushed` is durable. A position of 0 means unknown. */
function statusMessage(received: bigint, flushed: bigint, asks: boolean): Buffer {
  const message = Buffer.alloc(headBytes + 34);
  message.write("d", "latin1");
  message.writeUInt32BE(message.length - 1, 1);
  message.write("r", headBytes, "latin1");
  message.writeBigUInt64BE(received, 6);
  message.writeBigUInt64BE(flushed, 14);
  message.writeBigUInt64BE(flushed, 22);
  message.writeBigInt64BE(BigInt(Date.now() - epoch) * 1_000n, 30);
  message[38] = asks ? 1 : 0;
  return message;
}

/**
 * Reads a slot of `pgoutput` for as long as the session lasts. The server is sent a status regularly, and keeps the log from
 * the confirmed position on. A slow reader makes the server wait.
 */
export class Replication implements AsyncDisposable {
  readonly #connection: PostgresConnection;
  readonly #chunks: AsyncGenerator<Buffer, void>;
  readonly #timer: NodeJS.Timeout;
  #first: Buffer | null = null;
  #received = 0n;
  #flushed = 0n;
  /** The moments of the server's last requests for an answer. */
  readonly #asked: number[] = [];
  #done = false;
  #over = false;

  private constructor(connection: PostgresConnection, chunks: AsyncGenerator<Buffer, void>, each: number) {
    this.#connection = connection;
    this.#chunks = chunks;
    // Its answer also shows that the server is alive while nothing changes.
    this.#timer = setInterval(() => this.#send(true), each).unref();
  }

  /** Reads from the slot's own position. Resolves once the server has begun. */
  static async start(
    settings: PostgresSettings,
    { slot, publication }: { readonly slot: string; readonly publication: string },
    signal: AbortSignal,
  ): Promise<Replication> {
    const connection = await connectPostgres({ ...settings, replication: true }, signal);
    try {
      const [[timeout = "0"] = []] = await connection.simple(
        "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'",
        signal,
      );
      const options = `proto_version '1', publication_names ${escapeLiteral(escapeIdentifier(publication))}`;
      const chunks = connection.copy(
        `START_REPLICATION SLOT ${escapeIdentifier(slot)} LOGICAL 0/0 (${options})`,
        signal,
      );
      const least = [statusEach, settings.silence / 3, ...(Number(timeout) > 0 ? [Number(timeout) / 3] : [])];
      const replication = new Replication(connection, chunks, Math.min(...least));
      const first = chunks.next();
      // The server answers it as soon as it streams.
      replication.#send(true);
      try {
        replication.#first = (await first).value ?? null;
        return replication;
      } catch (thrown) {
        clearInterval(replication.#timer);
        throw thrown;
      }
    } catch (thrown) {
      connection.destroy();
      throw thrown;
    }
  }

  /** The server may drop the log before `flushed`. */
  confirm(flushed: bigint): void {
    if (flushed <= this.#flushed) return;
    this.#flushed = flushed;
    this.#send(false);
  }

  /** All messages, until the session is ended or lost. */
  async *messages(): AsyncGenerator<WalMessage, void> {
    for (let chunk = this.#first; chunk !== null; chunk = (await this.#chunks.next()).value ?? null) {
      for (const message of decodeWal(chunk)) {
        yield message;
        if (message.kind !== "alive") continue;
        if (message.end > this.#received) this.#received = message.end;
        if (!message.asks) continue;
        this.#send(false);
        this.#leaveIfItEnds();
      }
    }
  }

  /** Otherwise the server could not shut down until this side has flushed everything. */
  #leaveIfItEnds(): void {
    const now = performance.now();
    this.#asked.push(now);
    if (this.#asked.length > shuttingDown.asks && now - this.#asked.shift()! < shuttingDown.within) this.#leave();
  }

  #leave(): void {
    if (this.#done || !this.#connection.alive) return;
    this.#done = true;
    this.#connection.send(copyDone);
  }

  #send(asks: boolean): void {
    if (this.#done || !this.#connection.alive) return;
    this.#connection.send(statusMessage(this.#received, this.#flushed, asks));
  }

  /** Ends the stream in good order, if the server answers soon: the slot is then free at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    clearInterval(this.#timer);
    this.#send(false);
    this.#over = true;
    const late = setTimeout(() => this.#connection.destroy(), endTimeout);
    try {
      this.#leave();
      while ((await this.#chunks.next()).done !== true);
    } catch {
      // The session is over, one way or the other.
    } finally {
      clearTimeout(late);
      await this.#connection[Symbol.asyncDispose]();
    }
  }
}
