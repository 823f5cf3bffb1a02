import type { Table } from "../protocol/table.ts";
import { RowDigests, type StoredDigests, signatureOf } from "./row-digests.ts";
import type { TableNote } from "./state-json.ts";

/** The bytes that all row digests may take while a sync runs … */
const mostBytes = 6 << 20;
/** … and as text in the state. */
const mostText = 2_500_000;
/** No digests are kept of tables with more rows, by estimate: the digests alone would fill the state. */
const mostRows = 100_000;

interface Note {
  rows: number;
  tooMany: boolean;
}

/** The row digests of all tables, within a limit for all of them together. */
export class DigestStore {
  readonly #digests = new Map<string, RowDigests>();
  readonly #notes = new Map<string, Note>();
  /** Digests of passes that are not closed yet. */
  readonly #begun = new Map<string, RowDigests>();

  /** Tables whose stored digests were damaged, so that they were dropped. */
  readonly damaged: readonly string[];

  constructor(notes: ReadonlyMap<string, TableNote>) {
    const damaged: string[] = [];
    for (const [table, { rows, tooMany, memory: stored }] of notes) {
      this.#notes.set(table, { rows, tooMany });
      if (stored === null) continue;
      const digests = RowDigests.parse(stored);
      if (digests === null) damaged.push(table);
      else this.#digests.set(table, digests);
    }
    this.damaged = damaged;
  }

  get isEmpty(): boolean {
    return this.#digests.size === 0;
  }

  /** The digests of a table's copy, if they are certain. If the table has another key now, they are dropped. */
  of(table: Table): RowDigests | null {
    const digests = this.#digests.get(table.id);
    if (digests === undefined) return null;
    if (digests.signature === signatureOf(table)) return digests;
    this.#digests.delete(table.id);
    return null;
  }

  /** Rows of the copy, or of its last whole pass if there are no digests; 0: none yet. */
  rowsOf(table: string): number {
    return this.#digests.get(table)?.size ?? this.#notes.get(table)?.rows ?? 0;
  }

  /** Whether there are digests of the table, or will be after the next full pass. */
  fits(table: string): boolean {
    return this.#notes.get(table)?.tooMany === false;
  }

  /** Begins new digests in place of the old ones; `null`: the table is too large, or has no key. */
  begin(table: Table): RowDigests | null {
    const rows = this.rowsOf(table.id);
    this.#digests.delete(table.id);
    this.#begun.delete(table.id);
    const tooMany = table.key.length === 0 || (table.estimatedRows ?? 0) > mostRows;
    this.#notes.set(table.id, { rows, tooMany });
    if (tooMany) return null;
    const digests = new RowDigests(signatureOf(table));
    this.#begun.set(table.id, digests);
    return digests;
  }

  /** Drops the digests of a table if all digests together are too large; returns whether it did. */
  dropIfTooLarge(table: string): boolean {
    let bytes = 0;
    for (const digests of [...this.#digests.values(), ...this.#begun.values()]) bytes += digests.bytes;
    if (bytes <= mostBytes) return false;
    this.drop(table, true);
    return true;
  }

  /** From here on nothing is certain about a table's copy. */
  drop(table: string, tooMany: boolean): void {
    const rows = this.rowsOf(table);
    this.#digests.delete(table);
    this.#begun.delete(table);
    if (tooMany) this.#notes.set(table, { rows, tooMany });
  }

  /** A pass over every row has ended: the digests that it began are certain from now on. */
  close(table: Table, rows: number): void {
    const begun = this.#begun.get(table.id);
    this.#begun.delete(table.id);
    if (begun !== undefined) this.#digests.set(table.id, begun);
    this.#notes.set(table.id, { rows, tooMany: this.#notes.get(table.id)?.tooMany ?? false });
  }

  /** Forgets a table. */
  forget(table: string): void {
    this.drop(table, false);
    this.#notes.delete(table);
  }

  /** For the state while a sync runs: without digests, since later rows change them. */
  notes(): Map<string, TableNote> {
    return new Map([...this.#notes].map(([table, note]) => [table, { ...note, memory: null }]));
  }

  /** For the state between syncs: with digests, the smallest first, as many as there is room for. */
  notesWithDigests(): Map<string, TableNote> {
    const notes = this.notes();
    let text = 0;
    const smallestFirst = [...this.#digests].sort(([, a], [, b]) => a.bytes - b.bytes);
    for (const [table, digests] of smallestFirst) {
      const stored = digests.json();
      text += textBytes(stored);
      const tooMany = text > mostText;
      notes.set(table, { rows: this.rowsOf(table), tooMany, memory: tooMany ? null : stored });
    }
    return notes;
  }
}

function textBytes({ signature, keys, digests }: StoredDigests): number {
  return signature.length + keys.length + digests.length + 100;
}
