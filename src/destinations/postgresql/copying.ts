import type { NulPolicy } from "../../wire/postgres/copy-encode.ts";
import type { Session } from "../sql/dialect.ts";

/** A session as what moves rows uses it: by COPY, beside statements. */
export interface Copying extends Session {
  readonly nul: NulPolicy;
  /** Sends encoded rows to `statement`, a `COPY … FROM STDIN (FORMAT binary)`, begun where it is not under way. */
  send(statement: string, messages: Iterable<Uint8Array>): Promise<void>;
  /** Hands what a `COPY … TO STDOUT (FORMAT binary)` gives to `take`, message by message. */
  receive(statement: string, take: (messages: Buffer) => void): Promise<void>;
}
