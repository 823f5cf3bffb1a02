import type { Operation } from "../../../protocol/operation.ts";
import type { Rows } from "../../../protocol/rows.ts";
import type { Table } from "../../../protocol/table.ts";
import { RespError, unknownCommand } from "../../../wire/resp/errors.ts";
import { commandOf, takeFirst } from "../values/collect.ts";
import { collectLarge } from "../values/collect-large.ts";
import { isWrongType, serverErrors } from "../errors.ts";
import { Members } from "../values/members.ts";
import type { ReadContext } from "../read-context.ts";
import type { KeyBatch } from "../scan/scan.ts";
import { textOf } from "../values/text.ts";
import type { NativeType } from "../types.ts";
import { takeInteger } from "../scan/take.ts";
import type { AskedKeys, KeyQuestions } from "../scan/walk-keys.ts";

/** Makes rows of keys, one row per key. */
export interface KeyRows {
  readonly questions: KeyQuestions;
  readonly length: number;
  readonly bytes: number;
  /** The table with the value's new columns, if the table takes every field that is found; `null`: no new columns. */
  widened(members: Members, type: NativeType): Table | null;
  /** From now on, rows have the columns of `table`. Call this only when there are no rows. */
  widen(table: Table): void;
  append(keys: KeyBatch, index: number, type: NativeType, members: Members): void;
  /** Adds a key that can't be read. */
  fail(keys: KeyBatch, index: number, message: string): void;
  finish(): Rows;
}

/** The results of reading keys. */
export type KeyOperation = { readonly kind: "rows"; readonly rows: Rows } | (Operation & { readonly kind: "schema" });

/** Approximate bytes per row besides its value. */
const rowBytes = 80;

/** Limit of warnings about unreadable keys per reading. */
const mostWarnings = 5;

/**
 * Reads the values of requested keys. The memory of a large value is kept for the next one, because released memory
 * becomes free late.
 */
export class KeyReader {
  readonly #context: ReadContext;
  readonly #batchBytes: number;
  readonly #members = new Members();
  #warnings = 0;
  #bytes = 0;

  constructor(context: ReadContext, batchBytes: number) {
    this.#context = context;
    this.#batchBytes = batchBytes;
  }

  /** Bytes of the values that were read since the last call. */
  takeBytes(): number {
    const bytes = this.#bytes;
    this.#bytes = 0;
    return bytes;
  }

  /** Yields rows whenever a batch is full; the other rows stay in `into`. */
  async *read({ connection, keys, asked, guess }: AskedKeys, into: KeyRows): AsyncGenerator<KeyOperation> {
    const maxValueBytes = this.#context.configuration.max_value_bytes;
    const { questions } = into;
    const members = this.#members;
    for (const index of asked) {
      // In the order of the requests; see askKeys.
      if (questions.ttl) {
        while (!connection.complete()) await connection.more();
        keys.ttls[index] = takeInteger(connection);
      }
      if (questions.expires) {
        while (!connection.complete()) await connection.more();
        keys.expires[index] = takeInteger(connection);
      }
      while (!connection.complete()) await connection.more();
      const { replies } = connection;
      let type: NativeType | null = keys.types[index]!;
      const taken = takeFirst(replies, type, members);
      const error = taken === "error" ? new RespError(replies.text(), commandOf(type)) : null;
      // The pieces are positions in the received bytes, so nothing more is awaited before they are used.
      connection.done();
      let failure: string | null = null;
      // Without the command for a part of a value, one command reads all of it.
      if (error !== null && !isWrongType(error) && unknownCommand(error) === null) failure = failureOf(error);
      else if (taken !== "whole") {
        const large = await this.#large(keys.key(index));
        if (typeof large === "string") failure = large;
        else type = large;
        if (error !== null && isWrongType(error) && type !== null)
          guess?.learn(keys.bytes, keys.starts[index]!, keys.ends[index]!, type, true);
      } else if (members.span > maxValueBytes && members.size > maxValueBytes) failure = tooLarge(maxValueBytes);
      if (failure !== null) {
        this.#warn(keys.key(index), failure);
        into.fail(keys, index, failure);
      } else if (type !== null && questions.wants(type)) {
        const wider = into.widened(members, type);
        if (wider !== null) {
          members.detach();
          if (into.length > 0) yield { kind: "rows", rows: into.finish() };
          into.widen(wider);
          yield { kind: "schema", table: wider };
        }
        into.append(keys, index, type, members);
        this.#bytes += rowBytes + members.span;
        members.release();
      }
      if (into.bytes >= this.#batchBytes) yield { kind: "rows", rows: into.finish() };
    }
  }

  /**
   * Reads a value that did not fit into one answer: returns its type, `null` if it is gone, or why it can't be read.
   */
  async #large(key: Buffer): Promise<NativeType | null | string> {
    const { pool, signal, configuration } = this.#context;
    const maxValueBytes = configuration.max_value_bytes;
    return pool.with(signal, async (connection) => {
      try {
        const large = await collectLarge(connection, key, this.#members, maxValueBytes);
        if (large.kind === "too large") return tooLarge(maxValueBytes);
        return large.kind === "gone" ? null : large.type;
      } catch (thrown) {
        if (!(thrown instanceof RespError)) throw thrown;
        return failureOf(thrown);
      }
    });
  }

  #warn(key: Buffer, message: string): void {
    this.#warnings += 1;
    if (this.#warnings > mostWarnings) return;
    const last = this.#warnings === mostWarnings ? " (further keys of this kind are not reported)" : "";
    this.#context.log.warn(`key "${textOf(key)}" can't be read: ${message}; its row says so${last}`);
  }
}

/** Why a value larger than `max_value_bytes` is not copied. */
export function tooLarge(most: number): string {
  return `the value takes more than max_value_bytes (${most})`;
}

/** The text of an error that concerns only this key. Throws errors of the connection, the user or the server. */
export function failureOf(error: RespError): string {
  if (serverErrors.some(([pattern]) => pattern.test(error.message))) throw error;
  return error.message;
}
