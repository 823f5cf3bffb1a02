/** What a server answered with an error, in its own words: `WRONGTYPE Operation against …`. */
export class RespError extends Error {
  /** The first word where it is in capitals (`WRONGTYPE`, `NOPERM`, `ERR`), else `ERR`. */
  readonly word: string;

  constructor(text: string) {
    super(text);
    this.word = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? "ERR";
  }
}

/** What came is not RESP. */
export class RespProtocolError extends Error {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super("the answer is not of the Redis protocol");
    this.bytes = Uint8Array.from(bytes);
  }
}

/** No reply came for as long as the settings allow. */
export class RespTimeout extends Error {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`nothing came for ${milliseconds / 1000} s`);
    this.milliseconds = milliseconds;
  }
}
