/** An error reply, in the server's words: `WRONGTYPE Operation against …`. */
export class RespError extends Error {
  /** The first word if it is in capitals (`WRONGTYPE`, `NOPERM`, `ERR`), otherwise `ERR`. */
  readonly word: string;
  /** The command that it answers, where the caller said so. */
  readonly command: string | null;

  constructor(text: string, command: string | null = null) {
    super(text);
    this.command = command;
    this.word = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? "ERR";
  }
}

/** The command that the server does not know, in capitals; `null`: it is another error. */
export function unknownCommand({ message, command }: RespError): string | null {
  const found = /^ERR unknown (?:sub)?command:? ?[`'"]?([\w.]*)/i.exec(message);
  return found === null ? null : (command ?? found[1]!).toUpperCase();
}

/** The server's answer is not RESP. */
export class RespProtocolError extends Error {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super("the answer is not of the Redis protocol");
    this.bytes = Uint8Array.from(bytes);
  }
}

/** No reply arrived in time. */
export class RespTimeout extends Error {}
