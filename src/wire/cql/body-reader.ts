import { ProtocolBroken } from "../../net/broken.ts";

/** Reads a body from its start: the notations of section 3 of the specification. Throws if the body can't hold the value. */
export class BodyReader {
  readonly body: Buffer;
  at: number;

  constructor(body: Buffer, at = 0) {
    this.body = body;
    this.at = at;
  }

  short(): number {
    const value = this.body.readUInt16BE(this.at);
    this.at += 2;
    return value;
  }

  int(): number {
    const value = this.body.readInt32BE(this.at);
    this.at += 4;
    return value;
  }

  /** The number of items that follow, each of at least `least` bytes. */
  count(least: number): number {
    const count = this.int();
    if (count < 0 || count * least > this.body.length - this.at) throw new ProtocolBroken(`a count of ${count}`);
    return count;
  }

  skip(length: number): void {
    if (length > this.body.length - this.at) throw new ProtocolBroken(`${length} bytes that are not there`);
    this.at += length;
  }

  string(): string {
    const length = this.short();
    this.skip(length);
    return this.body.toString("utf8", this.at - length, this.at);
  }

  bytes(): Buffer | null {
    const length = this.int();
    if (length < 0) return null;
    this.skip(length);
    return this.body.subarray(this.at - length, this.at);
  }

  shortBytes(): Buffer {
    const length = this.short();
    this.skip(length);
    return this.body.subarray(this.at - length, this.at);
  }

  stringList(): string[] {
    return Array.from({ length: this.short() }, () => this.string());
  }

  stringMultimap(): Map<string, readonly string[]> {
    const map = new Map<string, readonly string[]>();
    for (let left = this.short(); left > 0; left--) map.set(this.string(), this.stringList());
    return map;
  }
}
