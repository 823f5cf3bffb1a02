import type { Json } from "../../src/protocol/json.ts";
import type { Operation } from "../../src/protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../../src/protocol/pass.ts";
import type { Rows } from "../../src/protocol/rows.ts";
import type { Source } from "../../src/protocol/source.ts";
import type { Table } from "../../src/protocol/table.ts";
import { type Cell, cell, project, rowsOf } from "../../src/toolkit/vectors.ts";
import type { tableOf } from "./destination/steps.ts";
import { proofTypes, valueOf } from "./proof-values.ts";

interface Held {
  readonly table: Table;
  readonly types: Readonly<Record<string, string>>;
  /** By `id`, the first column. */
  readonly rows: Map<number, readonly Cell[]>;
}

/** Random tables in memory. The test holds their rows. */
export class RowsSource implements Source {
  readonly tables = new Map<string, Held>();
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** From 0 to below 1: the same numbers for the same seed. */
  random(): number {
    // https://en.wikipedia.org/wiki/Xorshift
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  /** A table with `rows` rows. `versioned`: it has a column that tells when a row changed. */
  make(of: typeof tableOf, id: string, versioned: boolean, rows: number): void {
    const some = proofTypes
      .map((kind) => [`c_${kind.replaceAll(/\W/g, "")}`, kind] as const)
      .filter(() => this.random() < 0.5);
    const last = this.random() < 0.5 ? { last: "BOOLEAN" } : {};
    const types = {
      ...{ id: "INT", k: "STRING", a: "STRING", b: "STRING", none: "STRING", zero: "DOUBLE" },
      ...(versioned ? { at: "UTC_DATETIME" } : {}),
      ...Object.fromEntries(some),
      ...last,
    };
    // JSON and XML are no types of keys: sources make them STRING.
    const typed = some.filter(([, kind]) => kind !== "JSON" && kind !== "XML").map(([column]) => column);
    const keys = [[], ["id"], ["id", "k"], ["id", ...typed.slice(0, 2)], [...typed.slice(-1), "id"]];
    const table = of(id, types, keys[Math.floor(this.random() * keys.length)]!, { version: versioned ? "at" : null });
    this.tables.set(id, { table, types, rows: new Map() });
    for (let row = 0; row < rows; row++) this.put(id, row, false);
  }

  /** Writes a row. `now`: after the copy was made, else long before. */
  put(id: string, row: number, now: boolean): void {
    const { table, types, rows } = this.tables.get(id)!;
    const fixed: Readonly<Record<string, Cell>> = {
      ...{
        id: row,
        k: "k",
        a: now ? `now ${this.random()}` : "ab",
        b: "c",
        none: null,
        zero: this.random() < 0.5 ? 0 : -0,
      },
      at: now ? BigInt(Date.now() + 60_000) * 1_000n : 1_600_000_000_000_000n,
    };
    const cells = Object.entries(types).map(([column, kind]): Cell => {
      if (column in fixed) return fixed[column]!;
      return this.random() < 0.2 && !table.key.includes(column) ? null : valueOf(kind, () => this.random());
    });
    rows.set(row, cells);
  }

  async *check(): AsyncGenerator<never> {}

  async discover(): Promise<readonly Table[]> {
    return [...this.tables.values()].map(({ table }) => table);
  }

  async plan([table]: readonly Table[], _kind: PassKind): Promise<Plan> {
    const split = { id: "all", tables: [table!.id], work: null };
    return { splits: [split], next: { [table!.id]: null }, asOf: new Date().toISOString(), snapshot: null };
  }

  async resume(pass: Pass): Promise<Pass> {
    return pass;
  }

  async *read(pass: Pass, _split: Split, _state: Json): AsyncGenerator<Operation> {
    const [{ id, key, version }] = pass.tables as readonly [Table];
    const rows = this.#rows(id, () => true);
    const names = [...key, ...(version === null ? [] : [version])];
    yield pass.kind === "keys"
      ? { kind: "keys", table: id, rows: project(rows, names) }
      : { kind: "upsert", table: id, rows };
  }

  async *lookup(table: Table, keys: Rows): AsyncGenerator<Rows> {
    const ids = keys.values[keys.columns.indexOf("id")]!;
    const wanted = new Set(Array.from({ length: keys.length }, (_, row) => cell(ids, row) as number));
    yield this.#rows(table.id, (id) => wanted.has(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #rows(id: string, wanted: (id: number) => boolean): Rows {
    const { table, rows } = this.tables.get(id)!;
    return rowsOf(
      table.columns,
      [...rows].filter(([row]) => wanted(row)).map(([, cells]) => cells),
    );
  }
}
