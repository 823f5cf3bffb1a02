/** Reads a body from its start: the notations of section 3 of the specification. */
export class BodyReader {
  readonly body: Buffer;
  at: number;

  constructor(body: Buffer, at = 0) {
    this.body = body;
    this.at = at;
  }

  byte(): number {
    return this.body[this.at++]!;
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

  string(): string {
    const length = this.short();
    this.at += length;
    return this.body.toString("utf8", this.at - length, this.at);
  }

  bytes(): Buffer | null {
    const length = this.int();
    if (length < 0) return null;
    this.at += length;
    return this.body.subarray(this.at - length, this.at);
  }

  shortBytes(): Buffer {
    const length = this.short();
    this.at += length;
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
