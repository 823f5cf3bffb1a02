import { ProtocolBroken } from "../../../net/broken.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import { Commands } from "../../../wire/resp/commands.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { replyKind } from "../../../wire/resp/replies.ts";
import { takeError } from "./take.ts";
import type { NativeType } from "../types.ts";
import type { ScanWork } from "../work.ts";

/** Keys that SCAN returned, and what is then learned about each. */
export class KeyBatch {
  bytes = Buffer.allocUnsafeSlow(1 << 14);
  count = 0;
  starts: number[] = [];
  ends: number[] = [];
  /** `null`: the key is gone, or not in this table. */
  types: (NativeType | null)[] = [];
  /** Milliseconds to live; -1: the key never expires. */
  ttls: number[] = [];
  /** When the key expires: milliseconds since 1970; -1: never. */
  expires: number[] = [];
  /** Where the SCAN continues after these keys; `null`: the SCAN has ended. */
  cursor: string | null = null;
  #used = 0;

  add(source: Uint8Array, start: number, end: number): void {
    const used = this.#used + end - start;
    if (used > this.bytes.byteLength) {
      const larger = Buffer.allocUnsafeSlow(Math.max(used, this.bytes.byteLength * 2));
      larger.set(this.bytes.subarray(0, this.#used));
      this.bytes = larger;
    }
    for (let from = start, to = this.#used; from < end;) this.bytes[to++] = source[from++]!;
    this.starts.push(this.#used);
    this.ends.push(used);
    this.types.push(null);
    this.ttls.push(-1);
    this.expires.push(-1);
    this.#used = used;
    this.count += 1;
  }

  key(index: number): Buffer {
    return this.bytes.subarray(this.starts[index], this.ends[index]);
  }
}

/** Detects a cursor that comes again (the scan would never end), in memory for one cursor (Brent's algorithm). */
export class CursorLoop {
  #kept = "";
  #steps = 0;
  #power = 1;

  /** An error if the cursor came before. */
  see(cursor: string): HeadwatersError | null {
    if (cursor === this.#kept) {
      return new HeadwatersError("SOURCE_FAILED", `the server's SCAN goes round: it gave the cursor ${cursor} again`, {
        hint: "Report this to the server's maker; a restart of the server may help.",
      });
    }
    if (++this.#steps < this.#power) return null;
    this.#kept = cursor;
    this.#steps = 0;
    this.#power *= 2;
    return null;
  }
}

/** The limit of COUNT if few keys match: SCAN covers so many keys in about 4 ms, and blocks other clients meanwhile. */
const mostCount = 10_000;

/** Walks over the keys of a database, in the server's order. */
export class Scanner {
  readonly #connection: RespConnection;
  readonly #work: ScanWork;
  readonly #loop = new CursorLoop();
  readonly #batchSize: number;
  #count: number;
  #cursor: string | null;

  /** `batchSize` is the number of keys per request; COUNT rises if fewer match. */
  constructor(connection: RespConnection, work: ScanWork, cursor: string, batchSize: number) {
    this.#connection = connection;
    this.#work = work;
    this.#cursor = cursor;
    this.#batchSize = batchSize;
    this.#count = batchSize;
  }

  /** Returns at least `atLeast` keys, or the last ones; `null`: no more keys. */
  async next(atLeast: number): Promise<KeyBatch | null> {
    if (this.#cursor === null) return null;
    const batch = new KeyBatch();
    while (batch.count < atLeast && this.#cursor !== null) {
      const before = batch.count;
      this.#cursor = await this.#scan(this.#cursor, batch, Math.min(this.#count, Math.max(atLeast, this.#count / 2)));
      const round = this.#cursor === null ? null : this.#loop.see(this.#cursor);
      if (round !== null) throw round;
      const got = batch.count - before;
      if (got < this.#batchSize / 2) this.#count = Math.min(Math.max(mostCount, this.#batchSize), this.#count * 2);
      else if (got > this.#batchSize * 2) this.#count = Math.max(this.#batchSize, Math.ceil(this.#count / 2));
    }
    batch.cursor = this.#cursor;
    return batch.count === 0 ? null : batch;
  }

  async #scan(cursor: string, batch: KeyBatch, count: number): Promise<string | null> {
    const { match, type } = this.#work;
    const connection = this.#connection;
    const commands = new Commands();
    commands.add(
      ...["SCAN", cursor, "COUNT", String(Math.ceil(count))],
      ...["MATCH", Buffer.from(match, "base64")],
      ...(type === null ? [] : ["TYPE", type]),
    );
    connection.send(commands);
    while (!connection.complete()) await connection.more();
    const { replies } = connection;
    const kind = replies.next();
    if (kind === replyKind.error) throw takeError(connection, "SCAN");
    // The answer that ends a pass must be certain.
    if (kind !== replyKind.array || replies.value !== 2)
      throw new ProtocolBroken("the answer to SCAN has not two parts");
    const next = replies.cursor("the cursor of SCAN");
    for (let left = replies.array("the list of SCAN"); left > 0; left--) {
      replies.string("a key of SCAN");
      batch.add(replies.bytes, replies.start, replies.end);
    }
    connection.done();
    return next === "0" ? null : next;
  }
}
