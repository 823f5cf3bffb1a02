import type { NulPolicy } from "../../wire/postgres/copy-encode.ts";
import type { Parameter, Row, Session } from "../sql/dialect.ts";

/** A session that also moves rows by COPY. */
export interface Copying extends Session {
  readonly nul: NulPolicy;
  /** A parameter may also be an array of text. */
  rows(sql: string, parameters?: readonly (Parameter | readonly (string | null)[])[]): Promise<readonly Row[]>;
  /** Sends encoded rows to `statement`, a `COPY … FROM STDIN (FORMAT binary)`, and starts it if it is not running. */
  send(statement: string, messages: Iterable<Uint8Array>): Promise<void>;
  /** Calls `take` with the messages of a `COPY … TO STDOUT (FORMAT binary)`. */
  receive(statement: string, take: (messages: Buffer) => void): Promise<void>;
}
