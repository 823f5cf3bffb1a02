/** An error reply, in the server's words: `WRONGTYPE Operation against …`. */
export class RespError extends Error {
  /** The first word if it is in capitals (`WRONGTYPE`, `NOPERM`, `ERR`), otherwise `ERR`. */
  readonly word: string;

  constructor(text: string) {
    super(text);
    this.word = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? "ERR";
  }
}

/** The server's answer is not RESP. */
export class RespProtocolError extends Error {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super("the answer is not of the Redis protocol");
    this.bytes = Uint8Array.from(bytes);
  }
}

/** No reply arrived within the timeout of the settings. */
export class RespTimeout extends Error {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`nothing came for ${milliseconds / 1000} s`);
    this.milliseconds = milliseconds;
  }
}
