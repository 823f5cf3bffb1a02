import type { Table } from "../protocol/table.ts";
import { RowDigests, type StoredDigests, signatureOf } from "./row-digests.ts";
import type { TableNote } from "./state-json.ts";

/** Bytes that all digests may take while a sync runs … */
const mostBytes = 6 << 20;
/** … and as text in the state. */
const mostText = 2_500_000;
/** Of a table that is estimated to have more rows no memory is begun: their digests alone would fill the text. */
const mostRows = 100_000;

interface Note {
  rows: number;
  tooMany: boolean;
}

/** The digests of all tables, and what they may take together. */
export class DigestStore {
  readonly #digests = new Map<string, RowDigests>();
  readonly #notes = new Map<string, Note>();
  /** Being made by passes that are not closed yet. */
  readonly #begun = new Map<string, RowDigests>();

  constructor(notes: ReadonlyMap<string, TableNote>) {
    for (const [table, { rows, tooMany, memory }] of notes) {
      this.#notes.set(table, { rows, tooMany });
      if (memory !== null) this.#digests.set(table, RowDigests.parse(memory));
    }
  }

  get isEmpty(): boolean {
    return this.#digests.size === 0;
  }

  /** What is known for sure of a table's copy; of another key it is forgotten. */
  of(table: Table): RowDigests | null {
    const memory = this.#digests.get(table.id);
    if (memory === undefined) return null;
    if (memory.signature === signatureOf(table)) return memory;
    this.#digests.delete(table.id);
    return null;
  }

  /** Rows of the table's last whole pass; 0: there was none. */
  rowsOf(table: string): number {
    return this.#notes.get(table)?.rows ?? 0;
  }

  /** Whether its keys are remembered, or would be after the next full pass. */
  fits(table: string): boolean {
    return this.#notes.get(table)?.tooMany === false;
  }

  /** Begins a memory in place of the old one; `null`: the table is too large, or has no key. */
  begin(table: Table): RowDigests | null {
    this.#digests.delete(table.id);
    this.#begun.delete(table.id);
    const tooMany = table.key.length === 0 || (table.estimatedRows ?? 0) > mostRows;
    this.#notes.set(table.id, { rows: this.rowsOf(table.id), tooMany });
    if (tooMany) return null;
    const memory = new RowDigests(signatureOf(table));
    this.#begun.set(table.id, memory);
    return memory;
  }

  /** Drops a memory that makes all of them too large; says whether it did. */
  dropIfTooLarge(table: string): boolean {
    let bytes = 0;
    for (const memory of [...this.#digests.values(), ...this.#begun.values()]) bytes += memory.bytes;
    if (bytes <= mostBytes) return false;
    this.drop(table, true);
    return true;
  }

  /** From here on nothing is known of a table's copy. */
  drop(table: string, tooMany: boolean): void {
    this.#digests.delete(table);
    this.#begun.delete(table);
    if (tooMany) this.#notes.set(table, { rows: this.rowsOf(table), tooMany });
  }

  /** A pass over every row is over; the memory that it began is good from now on. */
  close(table: Table, rows: number): void {
    const begun = this.#begun.get(table.id);
    this.#begun.delete(table.id);
    if (begun !== undefined) this.#digests.set(table.id, begun);
    this.#notes.set(table.id, { rows, tooMany: this.#notes.get(table.id)?.tooMany ?? false });
  }

  /** Nothing is left of a table. */
  forget(table: string): void {
    this.drop(table, false);
    this.#notes.delete(table);
  }

  /** What the state keeps while a sync runs: no memory, since what follows changes it. */
  notes(): Map<string, TableNote> {
    return new Map([...this.#notes].map(([table, note]) => [table, { ...note, memory: null }]));
  }

  /** What the state keeps between syncs: digests too, from the smallest on, as many as there is room for. */
  notesWithDigests(): Map<string, TableNote> {
    const notes = this.notes();
    let text = 0;
    const smallestFirst = [...this.#digests].sort(([, a], [, b]) => a.bytes - b.bytes);
    for (const [table, memory] of smallestFirst) {
      const remembered = memory.json();
      text += textBytes(remembered);
      const tooMany = text > mostText;
      notes.set(table, { rows: this.rowsOf(table), tooMany, memory: tooMany ? null : remembered });
    }
    return notes;
  }
}

function textBytes({ signature, keys, digests }: StoredDigests): number {
  return signature.length + keys.length + digests.length + 100;
}
