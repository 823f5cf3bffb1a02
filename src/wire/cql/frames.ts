import { Announced } from "../../net/announced.ts";
import { ProtocolBroken } from "../../net/broken.ts";

/**
 * Frames of the CQL binary protocol v4 (native_protocol_v4.spec of Cassandra). Every Cassandra from 3.0 on and
 * every ScyllaDB speaks version 4.
 */
export const protocolVersion = 4;

const headerBytes = 9;

/** The longest answer that is accepted. Servers keep pages far below it. */
const longestBody = 512 << 20;

/** The flags that we request or understand; 0x01 is compression. */
const knownFlags = 0x1e;

export const opcodes = {
  error: 0x00,
  startup: 0x01,
  ready: 0x02,
  authenticate: 0x03,
  options: 0x05,
  supported: 0x06,
  query: 0x07,
  result: 0x08,
  prepare: 0x09,
  execute: 0x0a,
  authChallenge: 0x0e,
  authResponse: 0x0f,
  authSuccess: 0x10,
} as const;

/** A frame that came from the server. */
export interface Frame {
  /** The protocol's version, without the bit that says "response". */
  readonly version: number;
  readonly flags: number;
  readonly stream: number;
  readonly opcode: number;
  readonly body: Buffer;
}

/** The answer is not CQL. */
export class NotCql extends Error {
  /** The first bytes of the answer. */
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    super("the answer is no CQL frame");
    this.bytes = bytes;
  }
}

export function requestFrame(stream: number, opcode: number, body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + body.length);
  frame[0] = protocolVersion;
  frame[1] = 0;
  frame.writeInt16BE(stream, 2);
  frame[4] = opcode;
  frame.writeInt32BE(body.length, 5);
  body.copy(frame, headerBytes);
  return frame;
}

/** Assembles frames from the chunks of a socket. */
export class FrameReader {
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #body: Announced | null = null;

  /** Throws {@link NotCql} at the first bytes that can't be a response, {@link ProtocolBroken} at others. */
  *push(chunk: Buffer): Generator<Frame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === null) {
        const taken = chunk.copy(this.#header, this.#headerFilled, at, at + headerBytes - this.#headerFilled);
        this.#headerFilled += taken;
        at += taken;
        if ((this.#header[0]! & 0x80) === 0 || (this.#header[0]! & 0x7f) > 6) throw new NotCql(this.#header);
        if (this.#headerFilled < headerBytes) return;
        const length = this.#header.readInt32BE(5);
        if (length < 0 || length > longestBody) throw new ProtocolBroken(`an answer of ${length} bytes`);
        if ((this.#header[1]! & ~knownFlags) !== 0) throw new ProtocolBroken("an answer with flags that it can't have");
        // The body of a whole frame inside one chunk is not copied.
        if (length <= chunk.length - at) {
          yield this.#frame(chunk.subarray(at, at + length));
          at += length;
          continue;
        }
        this.#body = new Announced(length);
      }
      at += this.#body.take(chunk, at);
      const { whole } = this.#body;
      if (whole !== null) yield this.#frame(whole);
    }
  }

  #frame(body: Buffer): Frame {
    this.#headerFilled = 0;
    this.#body = null;
    return {
      version: this.#header[0]! & 0x7f,
      flags: this.#header[1]!,
      stream: this.#header.readInt16BE(2),
      opcode: this.#header[4]!,
      body,
    };
  }
}
