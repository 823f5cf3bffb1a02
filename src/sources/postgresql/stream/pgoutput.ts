import { ProtocolBroken } from "../../../net/broken.ts";
import { millisecondsOf } from "../../../wire/postgres/replication.ts";

/** The values of a row as text, in the order of its columns; `null` is NULL, `undefined` is not sent. */
export type Tuple = readonly (string | null | undefined)[];

/** A message of the output plugin `pgoutput`, protocol 1, as far as keys need it. */
export type StreamMessage =
  | {
      readonly kind: "begin";
      /** Where the record of its commit begins. */
      readonly commit: bigint;
      /** When it was committed, by the server's clock: milliseconds since 1970. */
      readonly at: number;
      /** The transaction, without its epoch. */
      readonly xid: number;
    }
  /** `end`: where the record of the commit ends. */
  | { readonly kind: "commit"; readonly end: bigint }
  | { readonly kind: "relation"; readonly id: number; readonly relation: StreamRelation }
  /** The old row, if the message has it, and the new row. */
  | { readonly kind: "change"; readonly id: number; readonly tuples: readonly Tuple[] }
  | { readonly kind: "truncate"; readonly ids: readonly number[] }
  | { readonly kind: "other" };

/** A table as the following changes describe its rows. */
export interface StreamRelation {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
}

/** The places of the columns of a relation that are decoded; `null`: all are. */
export type Decoded = (relation: number) => readonly number[] | null;

/**
 * https://www.postgresql.org/docs/15/protocol-logicalrep-message-formats.html. Values that are not decoded are `undefined`.
 * Throws {@link ProtocolBroken}.
 */
export function decodeMessage(bytes: Buffer, decoded: Decoded = () => null): StreamMessage {
  try {
    return new Message(bytes, decoded).decode();
  } catch (thrown) {
    if (thrown instanceof ProtocolBroken) throw thrown;
    throw new ProtocolBroken("a message of pgoutput that can't be read", { cause: thrown });
  }
}

class Message {
  readonly #bytes: Buffer;
  readonly #decoded: Decoded;
  #at = 1;

  constructor(bytes: Buffer, decoded: Decoded) {
    this.#bytes = bytes;
    this.#decoded = decoded;
  }

  decode(): StreamMessage {
    switch (String.fromCharCode(this.#bytes[0]!)) {
      case "B": {
        const commit = this.#long();
        return { kind: "begin", commit, at: millisecondsOf(this.#long()), xid: this.#int() };
      }
      case "C":
        this.#byte();
        this.#long();
        return { kind: "commit", end: this.#long() };
      case "R":
        return this.#relation();
      case "I":
      case "U":
      case "D": {
        const id = this.#int();
        return { kind: "change", id, tuples: [...this.#tuples(this.#decoded(id))] };
      }
      case "T": {
        const count = this.#int();
        this.#byte();
        return { kind: "truncate", ids: Array.from({ length: count }, () => this.#int()) };
      }
      default:
        return { kind: "other" };
    }
  }

  #relation(): StreamMessage {
    const id = this.#int();
    const [schema, name] = [this.#name(), this.#name()];
    this.#byte();
    const columns = Array.from({ length: this.#short() }, () => {
      this.#byte();
      const column = this.#name();
      this.#at += 8;
      return column;
    });
    // An empty name stands for pg_catalog.
    return { kind: "relation", id, relation: { schema: schema === "" ? "pg_catalog" : schema, name, columns } };
  }

  /** Each follows its letter: the old key (K) or the whole old row (O), and the new row (N). */
  *#tuples(places: readonly number[] | null): Generator<Tuple, void> {
    while (this.#at < this.#bytes.length) {
      this.#byte();
      yield Array.from({ length: this.#short() }, (_, at) => this.#value(places === null || places.includes(at)));
    }
  }

  #value(isDecoded: boolean): string | null | undefined {
    const kind = String.fromCharCode(this.#byte());
    if (kind === "n") return null;
    if (kind === "u") return undefined;
    if (kind !== "t") throw new ProtocolBroken(`a value of the unknown kind "${kind}"`);
    const length = this.#int();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new ProtocolBroken("a value that ends after its message");
    const text = isDecoded ? this.#bytes.toString("utf8", this.#at, end) : undefined;
    this.#at = end;
    return text;
  }

  #name(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new ProtocolBroken("a name without an end");
    const name = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return name;
  }

  #byte(): number {
    return this.#bytes.readUInt8(this.#at++);
  }

  #short(): number {
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }

  #int(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  #long(): bigint {
    this.#at += 8;
    return this.#bytes.readBigUInt64BE(this.#at - 8);
  }
}
