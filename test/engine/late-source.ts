import type { Json } from "../../src/protocol/json.ts";
import type { Operation } from "../../src/protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../src/protocol/pass.ts";
import type { Rows } from "../../src/protocol/rows.ts";
import type { Changed, KeptStream, Reading, Source, SourceCapabilities } from "../../src/protocol/source.ts";
import type { Column, Table } from "../../src/protocol/table.ts";
import { LateHints, type LatePosition } from "../../src/toolkit/hints/late-hints.ts";
import { cell, rowsOf } from "../../src/toolkit/vectors.ts";

const columns: readonly Column[] = [
  { name: "id", type: { kind: "INT" }, nullable: false },
  { name: "name", type: { kind: "STRING" }, nullable: true },
];

export const lateCapabilities: SourceCapabilities = {
  passes: ["full", "keys", "stream"],
  independentPath: false,
  schema: "declared",
  catchesUp: true,
};

/** A write; `null`: the row was removed. */
interface Write {
  readonly id: number;
  readonly name: string | null;
  readonly at: number;
  /** When reads see it. */
  readonly visible: number;
}

/** A database that tells of each write at once, and shows it to reads a random while later. It keeps its log for ever. */
export class LateDatabase {
  readonly log: Write[] = [];
  readonly latest: number;
  onWrite: () => void = () => {};

  constructor(latest: number) {
    this.latest = latest;
  }

  write(id: number, name: string | null, delay: number): void {
    const now = performance.now();
    const before = this.log.findLast((write) => write.id === id)?.visible ?? 0;
    // Writes of one key are seen in their order.
    this.log.push({ id, name, at: now, visible: Math.max(before, now + delay) });
    this.onWrite();
  }

  rows(at = performance.now()): Map<number, string> {
    const rows = new Map<number, string>();
    for (const { id, name, visible } of this.log) {
      if (visible > at) continue;
      if (name === null) rows.delete(id);
      else rows.set(id, name);
    }
    return rows;
  }
}

/** Where the stream goes on: in the log for another process, and among the hints of this one. */
interface Position extends LatePosition {
  readonly log: number;
}

/** Follows {@link LateDatabase} by one table `t`, as one process. `goesOn`: from where another process was. */
export class LateSource implements Source {
  readonly looked: number[] = [];
  onRead: () => void = () => {};
  readonly hints: LateHints;
  readonly #database: LateDatabase;
  readonly #goesOn: boolean;
  #heard: number | null = null;
  #keys: readonly Json[] = [];

  constructor(database: LateDatabase, goesOn: boolean) {
    this.#database = database;
    this.#goesOn = goesOn;
    this.hints = new LateHints({ settle: database.latest });
    database.onWrite = () => this.#listen();
  }

  async *check(): AsyncGenerator<never> {}

  async discover(): Promise<readonly Table[]> {
    const table = { id: "t", columns, key: ["id"], identity: "1", cursor: null, version: "name" };
    return [{ ...table, streamed: true, estimatedRows: null, notes: [] }];
  }

  async plan(
    _: readonly Table[],
    kind: PassKind,
    previous: Readonly<Record<string, Json>>,
    signal: AbortSignal,
  ): Promise<Plan> {
    const before = (previous["t"] ?? null) as Position | null;
    const plan = {
      splits: [{ id: "0", tables: ["t"], work: null }],
      asOf: new Date().toISOString(),
      snapshot: null,
    };
    if (kind !== "stream") {
      // What was told before this process listened may not be seen yet.
      if (this.#heard === null && !this.#goesOn) this.hints.hearGap("t");
      this.#heard ??= this.#database.log.length;
      // No other process has heard what may not be seen yet.
      const log = this.#logAt(performance.now() - this.hints.settle);
      return { ...plan, next: { t: { ...(await this.hints.start("t", signal)), log } } };
    }
    const isOthers = before?.session !== this.hints.session;
    if (before === null || (isOthers && !this.#goesOn)) return { ...plan, next: {}, startsOver: true };
    this.#heard ??= before.log;
    this.#listen();
    const changes = this.hints.take("t", before);
    if (changes === null) return { ...plan, next: {}, startsOver: true };
    this.#keys = changes.keys;
    const log = this.#logAt(changes.next.settled - performance.timeOrigin);
    return { ...plan, next: { t: { ...changes.next, log } } };
  }

  async resume(pass: Pass): Promise<Pass> {
    return pass;
  }

  async *read(pass: Pass, _split: Split, _state: Json, _how: Reading): AsyncGenerator<Operation> {
    this.onRead();
    const rows = this.#database.rows();
    const upsert = (found: readonly (readonly [number, string])[]): Operation => ({
      kind: "upsert",
      table: "t",
      rows: rowsOf(columns, found),
    });
    if (pass.kind === "keys") {
      yield { kind: "keys", table: "t", rows: rowsOf(columns, [...rows]) };
      return;
    }
    if (pass.kind !== "stream") {
      if (rows.size > 0) yield upsert([...rows]);
      return;
    }
    const keys = this.#keys as readonly number[];
    this.looked.push(...keys);
    const gone = keys.filter((id) => !rows.has(id));
    if (gone.length > 0)
      yield {
        kind: "delete",
        table: "t",
        rows: rowsOf(
          columns.slice(0, 1),
          gone.map((id) => [id]),
        ),
      };
    const found = keys.filter((id) => rows.has(id)).map((id) => [id, rows.get(id)!] as const);
    if (found.length > 0) yield upsert(found);
  }

  async *lookup(_: Table, keys: Rows): AsyncGenerator<Rows> {
    const rows = this.#database.rows();
    const ids = Array.from({ length: keys.length }, (_, row) => cell(keys.values[0]!, row) as number);
    const found = ids.filter((id) => rows.has(id)).map((id) => [id, rows.get(id)!] as const);
    if (found.length > 0) yield rowsOf(columns, found);
  }

  changed(within: number, among: ReadonlySet<string>, signal: AbortSignal): Promise<Changed> {
    return this.hints.changed(within, among, signal);
  }

  async keepFrom(next: Readonly<Record<string, Json>>): Promise<KeptStream | null> {
    const position = next["t"] as Position | null;
    if (position !== null) this.hints.forget("t", position);
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.onWrite = () => {};
  }

  #listen(): void {
    if (this.#heard === null) return;
    for (; this.#heard < this.#database.log.length; this.#heard++)
      this.hints.hear("t", String(this.#database.log[this.#heard]!.id));
  }

  /** The first write at a moment or later. */
  #logAt(moment: number): number {
    const first = this.#database.log.findIndex(({ at }) => at >= moment);
    return first < 0 ? this.#database.log.length : first;
  }
}
